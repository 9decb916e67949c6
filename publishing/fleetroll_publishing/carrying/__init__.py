"""Taking the signed repository elsewhere: a mirror as plain files, a bundle as one file. Nothing is signed here."""

from fleetroll_publishing.carrying.bundle import BuiltBundle, write_bundle
from fleetroll_publishing.carrying.chain import Chain, Remote, read_chain
from fleetroll_publishing.carrying.choice import BundleWish, MirrorWish
from fleetroll_publishing.carrying.mirror import UpdatedMirror, update_mirror

__all__ = [
    "BuiltBundle",
    "BundleWish",
    "Chain",
    "MirrorWish",
    "Remote",
    "UpdatedMirror",
    "read_chain",
    "update_mirror",
    "write_bundle",
]
