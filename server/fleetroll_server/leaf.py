"""The certificate that this server shows, exchanged while it runs: open streams stay, new handshakes get the new one.

The one door of a running server to the CA in its data folder: what threads do there, they do one after the other.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import grpc

from fleetroll_server import authority
from fleetroll_server.authority import current_leaf, read_authority
from fleetroll_server.certificates import ends_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fleetroll_server.authority import Authority
    from fleetroll_server.certificates import Pair
    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.secrets import Secrets


class Leaf:
    """The server's certificate with the bridges behind it. Its methods block, except for what handshakes ask."""

    def __init__(self, folder: DataFolder, secrets: Secrets, hosts: Iterable[str], now: datetime) -> None:
        """Show a certificate for ``hosts``, made where there is none that fits.

        Raises:
            StoreError: a file of the CA is missing or damaged, or its key can't be opened (operator's fault).
            OSError: the folder can't be read or written.
        """
        self._folder = folder
        self._secrets = secrets
        self._hosts = frozenset(hosts)
        self._lock = threading.Lock()
        self._pair: Pair
        self.ca_pem: bytes
        """The certificate of the CA that signs, PEM."""
        self._configuration: grpc.ServerCertificateConfiguration
        self._show(now)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Return what is shown, PEM, the certificate first."""
        return (self._pair.certificate, *self._bridges)

    @property
    def ends_at(self) -> datetime:
        """Return when the certificate ends."""
        return ends_at(self._pair.certificate)

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that show, at each handshake, the certificate of that moment."""
        return grpc.dynamic_ssl_server_credentials(self._configuration, lambda: self._configuration, False)  # noqa: FBT003 (the library's own order)

    def authority(self) -> Authority:
        """Return the CA as it stands; raises as the making."""
        with self._lock:
            return read_authority(self._folder)

    def prepare(self, now: datetime) -> Authority:
        """Make the CA's successor; see :func:`fleetroll_server.authority.prepare`."""
        with self._lock:
            return authority.prepare(self._folder, self._secrets, now)

    def switch(self, now: datetime) -> Authority:
        """Let the successor sign and show what it has signed; see :func:`fleetroll_server.authority.switch`."""
        with self._lock:
            switched = authority.switch(self._folder, now)
            self._show(now)
            return switched

    def name(self, hosts: Iterable[str], now: datetime) -> bool:
        """Stand for ``hosts`` as well from here on, and renew what is due; True when another certificate is shown.

        After an error the old one is shown as before. Raises as the making.
        """
        with self._lock:
            self._hosts |= frozenset(hosts)
            before = self.chain
            self._show(now)
            return self.chain != before

    def _show(self, now: datetime) -> None:
        pair = current_leaf(self._folder, self._secrets, sorted(self._hosts), now)
        known = read_authority(self._folder)
        shown = b"".join((pair.certificate, *known.bridges))
        self._configuration = grpc.ssl_server_certificate_configuration([(pair.key, shown)])
        self._pair, self._bridges, self.ca_pem = pair, known.bridges, known.certificate
