"""Settings of a server: ``fleetroll-server.toml`` in the data folder, then the environment, then the command line.

The environment's names are the fields' in capitals behind ``FLEETROLL_SERVER_``. Unknown keys are refused by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

MAX_PORT = 65535
"""gRPC takes what is above modulo 65536: another port than the one that was asked for."""


def _check_port(address: str) -> str:
    """Refuse a port that does not exist."""
    if int(address.rpartition(":")[2]) > MAX_PORT:
        raise ValueError(f"the port of {address!r} is not one of 0 to {MAX_PORT}")
    return address


def _check_reachable(address: str) -> str:
    """Refuse a port that nobody can connect to."""
    if int(address.rpartition(":")[2]) == 0:
        raise ValueError(f"the port of {address!r} is 0, which hosts can't connect to")
    return address


Address = Annotated[
    str,
    StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]{2,64}\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}$"),
    AfterValidator(_check_port),
]


CommandName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class Settings(BaseSettings):
    """All settings. None changes while the server runs."""

    model_config = SettingsConfigDict(env_prefix="FLEETROLL_SERVER_", extra="forbid", frozen=True)

    listen: Address = Field(
        default="127.0.0.1:8443",
        description="Where the TLS port for agents and administrators listens, host:port. Port 0 takes a free one.",
    )
    addresses: Annotated[tuple[Annotated[Address, AfterValidator(_check_reachable)], ...], NoDecode] = Field(
        default=(),
        max_length=16,
        description="host:port under which hosts reach the server, in order; they stand in join strings and in the "
        "server's certificate. Empty: the address that it listens on.",
    )
    root_keys: Path | None = Field(
        default=None,
        description="The folder that init wrote the root keys to. The server warns daily while it can read them.",
    )
    stops_log: Path | None = Field(
        default=None,
        description="The file that every stop is also appended to: revocations, the kill switch, used join tokens, "
        "stopped rollouts. A restore reads it; on another disk than the data folder it outlives that one. Empty: "
        "stops.log in the data folder.",
    )
    manifest_secret_file: Path | None = Field(
        default=None,
        description="The file with the secret that release manifests are signed with. Without it the environment's "
        "RELEASE_SIGNING_SECRET counts; without both no manifest can be imported.",
    )
    log_level: Annotated[str, StringConstraints(pattern="^(debug|info|warning|error)$")] = Field(
        default="info", description="The least important log lines that are written: debug, info, warning or error."
    )
    drain_seconds: float = Field(
        default=5.0,
        ge=0,
        le=600,
        description="How long calls that are open may take to end when the server is stopped, in seconds.",
    )
    timestamp_seconds: float = Field(
        default=3600.0,
        ge=1,
        le=43200,
        description="How often the timestamp of release metadata is signed again, in seconds; it is valid for a day.",
    )
    lease_seconds: float = Field(
        default=15.0,
        ge=3,
        le=300,
        description="How long after its last sign of life a server process still counts as live, in seconds: its "
        "agents are not called offline before. It is renewed three times as often.",
    )
    check_in_seconds: float = Field(
        default=3600.0,
        ge=60,
        le=86400,
        description="How often a host that does not hold its stream checks in, in seconds; give or take a tenth.",
    )
    upload_stall_seconds: float = Field(
        default=60.0,
        ge=1,
        le=3600,
        description="How long an upload of a release may stand still before it is ended, in seconds.",
    )

    gate_commands: dict[CommandName, Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]] = Field(
        default_factory=dict,
        max_length=100,
        description="Commands that a rollout's checks may name, as a table of words by name; they run as the server's "
        "own user. Status 0 is good, 1 is bad, anything else says nothing.",
    )

    report_days: float = Field(
        default=30.0,
        ge=1,
        le=3650,
        description="How long reports of hosts are kept, in days; those of rollouts that have not ended, and the "
        "newest one of each journal, longer.",
    )
    event_days: float = Field(
        default=90.0,
        ge=1,
        le=3650,
        description="How long events are kept, in days. Watchers that were away for longer start over.",
    )

    @field_validator("addresses", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Take the environment's form: addresses with commas between."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the command line before the environment before the file."""
        del dotenv_settings, file_secret_settings
        toml_file = settings_cls.model_config.get("toml_file")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file)


def load_settings(path: Path, **given: Any) -> Settings:  # noqa: ANN401 (values of fields, checked there)
    """Return the settings of the file ``path``, the environment, and ``given`` (what the command line says).

    Raises:
        RequestError: a key is unknown or a value can't be used; it is named (operator's fault).
    """

    class FileSettings(Settings):
        """The same, read from this file."""

        model_config = SettingsConfigDict(toml_file=path)

    try:
        return FileSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = f"settings: {field}: {first['msg'].removeprefix('Value error, ')}"
        remedy = f"correct {path.name}, the environment or the command line, wherever it stands"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=field) from error
    except ValueError as error:
        message = f"settings: {path.name} is no TOML: {error}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=f"correct {path.name}") from error
