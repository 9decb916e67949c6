"""``fleetroll release promote|yank|retire|revoke|floor|intermediates``: verbs, signed here or by the server."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.keyring import KeyOption, Keyring, KeysDirOption, PassphraseOption, keyring
from fleetroll_cli.output import note, plain, print_json, print_table, say
from fleetroll_cli.parse import INT32_MAX, between, said
from fleetroll_cli.previewing import tell
from fleetroll_cli.repository import ServerRepository
from fleetroll_cli.showing import state_of
from fleetroll_cli.signing import Desk, Said
from fleetroll_client import translate
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_publishing.carrying.chain import read_chain
from fleetroll_publishing.past import last_digests
from fleetroll_publishing.policies import policy_of, ruling_on
from fleetroll_publishing.roles import read_repository
from fleetroll_publishing.verbs import (
    Change,
    Publish,
    Retire,
    Revoke,
    SetChannels,
    SetFloor,
    SetIntermediates,
    Yank,
    changed_role,
)

if TYPE_CHECKING:
    from fleetroll_client import AdminClient
    from fleetroll_publishing.roles import Repository

ProductOption = Annotated[str, typer.Option("--product", callback=said("product"), help="The product.")]
VersionOption = Annotated[str, typer.Option("--version", callback=said("version"), help="The release.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would change; nothing is signed by the server, nothing sent to it.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", callback=said("reason"), help="Why, in words; signed with what is taken back.")
]


def promote(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    product: ProductOption,
    version: VersionOption,
    channel: Annotated[list[str], typer.Option("--channel", help="The channels it is in from now on; repeat it.")],
    reason: ReasonOption,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """List a release in exactly these channels, by a new signature."""
    verb = SetChannels(Version.parse(version), tuple(sorted(set(channel))))
    _change(context, product, verb, reason, keyring(key, keys_dir, passphrase_file), dry_run=dry_run, json=json)


def yank(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    product: ProductOption,
    version: VersionOption,
    reason: ReasonOption,
    recall: Annotated[
        bool, typer.Option("--recall", help="Also take it back from the hosts that it came to in the last 7 days.")
    ] = False,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Take a release back as bad: nobody starts it any more, its rollouts halt; what is past Go finishes."""
    verb, keys = Yank(Version.parse(version), reason), keyring(key, keys_dir, passphrase_file)
    with connected(context) as client:
        _apply(client, product, verb, reason, keys, recall=recall, dry_run=dry_run, json=json)


def retire(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    product: ProductOption,
    version: VersionOption,
    reason: ReasonOption,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Take a release off the list as old; refused while hosts need it."""
    verb = Retire(Version.parse(version), reason)
    _change(context, product, verb, reason, keyring(key, keys_dir, passphrase_file), dry_run=dry_run, json=json)


def revoke(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    product: ProductOption,
    version: VersionOption,
    reason: ReasonOption,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Declare that the artefacts of a release must not run; hosts that run one are an alert."""
    verb = Revoke(Version.parse(version), reason)
    _change(context, product, verb, reason, keyring(key, keys_dir, passphrase_file), dry_run=dry_run, json=json)


def intermediates(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    product: ProductOption,
    reason: ReasonOption,
    version: Annotated[
        list[str] | None, typer.Option("--version", help="A version that is not jumped over; may be repeated.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="No version has to be passed any more.")] = False,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Set the versions that are not jumped over: hosts below one go there first."""
    if bool(version) == none:
        raise _invalid("version", "name the versions, or --none", "name each with --version")
    verb = SetIntermediates(tuple(sorted({Version.parse(text) for text in version or ()})))
    _change(context, product, verb, reason, keyring(key, keys_dir, passphrase_file), dry_run=dry_run, json=json)


def floor(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    product: ProductOption,
    reason: ReasonOption,
    version: Annotated[
        str | None, typer.Option("--version", callback=said("version"), help="The lowest version to install.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the floor away.")] = False,
    stranded: Annotated[
        int | None,
        typer.Option(
            "--stranded",
            callback=between(0, INT32_MAX, "stranded"),
            help="How many hosts it may leave without a way up; default: it is asked.",
        ),
    ] = None,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Set the security floor: nothing below it is installed anew. Shows first whom it leaves without a way up."""
    if (version is None) != none:
        raise _invalid("version", "name the lowest version, or --none", "name it with --version")
    wanted = Version.parse(version) if version is not None else None
    keys = keyring(key, keys_dir, passphrase_file)
    with connected(context) as client:
        number = _agreed(client, product, wanted, stranded) if wanted is not None else 0
        _tell_fall(client, product, wanted)
        _apply(client, product, SetFloor(wanted), reason, keys, stranded=number, dry_run=dry_run, json=json)


def _agreed(client: AdminClient, product: str, wanted: Version, given: int | None) -> int:
    """Show whom a floor leaves without a way up; return their number when it is the one that was named.

    Raises:
        RequestError: CONFLICT: another number was named (caller's fault).
    """
    request = pb.PreviewFloorRequest(product=product, version=str(wanted))
    seen = client.releases.PreviewFloor(request, timeout=CALL_SECONDS)
    note(f"floor {wanted}: {seen.below} hosts of {product} are below it, {seen.stranded} of them have no way up")
    for host in seen.hosts:
        note(f"  {host.name} at {host.version}: {host.message}")
    if seen.stranded > len(seen.hosts):
        note(f"  and {seen.stranded - len(seen.hosts)} more")
    number = given
    if number is None and seen.stranded:
        if not sys.stdin.isatty():
            message = f"stranded: the floor leaves {seen.stranded} hosts without a way up"
            remedy = f"name their number with --stranded {seen.stranded}"
            raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="stranded")
        number = typer.prompt("number of hosts without a way up", type=int, err=True)
    if (number or 0) != seen.stranded:
        message = f"stranded: {number or 0} was named, the floor leaves {seen.stranded} hosts without a way up"
        raise RequestError(message, code=Code.CONFLICT, remedy="look again, and name their number", field="stranded")
    return int(seen.stranded)


def _tell_fall(client: AdminClient, product: str, wanted: Version | None) -> None:
    """Say that a floor falls: legal, and not what floors are for."""
    stands = client.releases.GetProductPolicy(pb.GetProductPolicyRequest(product=product), timeout=CALL_SECONDS).floor
    with suppress(RequestError):  # a floor that is no version is the server's nonsense, and stops nobody
        if not stands or (wanted is not None and wanted >= Version.parse(stands)):
            return
    note(f"the floor falls from {stands} to {wanted or 'none'}: older versions may be installed again")


def _change(
    context: typer.Context,
    product: str,
    verb: Change,
    reason: str,
    keys: Keyring | None,
    *,
    dry_run: bool,
    json: bool,
) -> None:
    """Apply one verb."""
    with connected(context) as client:
        _apply(client, product, verb, reason, keys, dry_run=dry_run, json=json)


def _apply(  # noqa: PLR0913 (one parameter per option)
    client: AdminClient,
    product: str,
    verb: Change,
    reason: str,
    keys: Keyring | None,
    *,
    stranded: int = 0,
    recall: bool = False,
    dry_run: bool,
    json: bool,
) -> None:
    """Sign here with the keys at hand, or let the server sign; show what came of it."""
    if keys is not None:
        desk = Desk(client, keys)
        prepared = desk.prepare({product: [_with_digests(client, desk.repository, product, verb)]})
        if dry_run:
            tell(product, desk.role(product), prepared.roles[product], as_json=json)
            return
        signed = desk.commit(prepared, Said(reason[:500], stranded={product: stranded}, recall=recall))
        answer = pb.ChangeReleasesResponse(
            role_version=signed.versions[product], releases=signed.releases, reverts=signed.reverts
        )
    elif dry_run:
        _preview(client, product, verb, json=json)
        return
    else:
        stands = client.releases.GetProductPolicy(pb.GetProductPolicyRequest(product=product), timeout=CALL_SECONDS)
        request = pb.ChangeReleasesRequest(
            product=product,
            role_version=stands.role_version,
            changes=[_wire(verb, stranded)],
            reason=reason[:500],
            recall=recall,
        )
        answer = client.releases.ChangeReleases(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [(one.product, one.version, state_of(one), ",".join(one.channels)) for one in answer.releases]
    if rows:
        print_table(("PRODUCT", "VERSION", "STATE", "CHANNELS"), rows)
    for revert in answer.reverts:
        say(f"recalled by {plain(revert)}: fleetroll rollout watch {plain(revert)}")
    say(f"{product}: role version {answer.role_version}, signed {'here' if keys is not None else 'by the server'}")


def _preview(client: AdminClient, product: str, verb: Change, *, json: bool) -> None:
    """Show what a verb would make of the list that the server has signed, verified as a host does it."""
    with translate():
        repository = read_repository(read_chain(ServerRepository(client), SystemClock()).files)
        role = repository.product(product)
        after = changed_role(product, role, [_with_digests(client, repository, product, verb)])
    tell(product, role, after, as_json=json)


def _with_digests(client: AdminClient, repository: Repository, product: str, verb: Change) -> Change:
    """Name the digests of a release that is listed no more, as they were signed last; they are printed.

    What the server's own rows say about it is not asked: it would choose what must not run.
    """
    policy = policy_of(product, repository.product(product))
    if not isinstance(verb, Revoke) or ruling_on(policy, verb.version) is None:
        return verb
    digests = last_digests(ServerRepository(client), repository, product, verb.version)
    for digest in digests:
        note(f"revoking {digest}, which was signed as {product} {verb.version}")
    return Revoke(verb.version, verb.reason, digests)


def _wire(verb: Change, stranded: int) -> pb.ReleaseChange:
    """Return a verb for the server."""
    if isinstance(verb, SetChannels):
        return pb.ReleaseChange(set_channels=pb.SetChannels(version=str(verb.version), channels=verb.channels))
    if isinstance(verb, SetFloor):
        return pb.ReleaseChange(set_floor=pb.SetFloor(version=str(verb.version or ""), stranded=stranded))
    if isinstance(verb, SetIntermediates):
        return pb.ReleaseChange(set_intermediates=pb.SetIntermediates(versions=list(map(str, verb.versions))))
    if isinstance(verb, Publish):
        raise TypeError(type(verb).__name__)
    words = pb.Withdraw(version=str(verb.version), reason=verb.reason)
    if isinstance(verb, Yank):
        return pb.ReleaseChange(yank=words)
    return pb.ReleaseChange(retire=words) if isinstance(verb, Retire) else pb.ReleaseChange(revoke=words)


def _invalid(field: str, what: str, remedy: str) -> RequestError:
    """Return the caller's error."""
    return RequestError(f"{field}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)
