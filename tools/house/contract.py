"""Reads the contract as buf compiles it: descriptors with comments and the access rule of every RPC."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from fleetroll.v1 import options_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "fleetroll.v1"
# Numbers of fields in a comment's path: FileDescriptorProto.service, ServiceDescriptorProto.method,
# FileDescriptorProto.enum_type, EnumDescriptorProto.value.
SERVICE_FIELD, METHOD_FIELD, ENUM_FIELD, VALUE_FIELD = 6, 2, 5, 2
REASON_PREFIX = "REASON_CODE_"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC of the contract.

    Attributes:
        path: as on the wire, "/fleetroll.v1.AgentsService/ListAgents".
        role: name of the role that the access option declares; empty without the option.
        scope: the token scope that is needed as well; may be empty.
        comment: the lines above it in the contract, joined.
        request: name of the request message, "stream " in front where it is a stream.
        response: the same for the answer.
    """

    path: str
    role: str
    scope: str
    comment: str
    request: str
    response: str


def image(root: Path = ROOT) -> FileDescriptorSet:
    """Compile protos/ below a folder; comments are kept.

    Raises:
        subprocess.CalledProcessError: the contract does not compile; buf has said why.
    """
    buf = str(Path(sys.executable).parent / "buf")
    command = [buf, "build", "--as-file-descriptor-set", "-o", "-#format=binpb"]
    return FileDescriptorSet.FromString(subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout)


def own_files(files: FileDescriptorSet) -> list[FileDescriptorProto]:
    """Return the contract's own files by name, without what they import from elsewhere."""
    return sorted((file for file in files.file if file.package == PACKAGE), key=lambda file: file.name)


def comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """Return the leading comments of a file by the path of what they describe, one line each."""
    found = ((tuple(place.path), place.leading_comments) for place in file.source_code_info.location)
    return {path: " ".join(text.split()) for path, text in found if text}


def rpcs(files: FileDescriptorSet) -> Iterator[Rpc]:
    """Yield every RPC, in the order of file names and then of the contract."""
    for file in own_files(files):
        said = comments(file)
        for s, service in enumerate(file.service):
            for m, method in enumerate(service.method):
                comment = said.get((SERVICE_FIELD, s, METHOD_FIELD, m), "")
                yield _rpc(f"/{file.package}.{service.name}/{method.name}", method, comment)


def reasons(files: FileDescriptorSet) -> Iterator[tuple[str, str]]:
    """Yield (code, comment) of the enum ReasonCode in its order, without the unspecified one."""
    for file in own_files(files):
        said = comments(file)
        for e, enum in enumerate(file.enum_type):
            if enum.name == "ReasonCode":
                for v, value in enumerate(enum.value):
                    if value.number:
                        path = (ENUM_FIELD, e, VALUE_FIELD, v)
                        yield value.name.removeprefix(REASON_PREFIX), said.get(path, "")


def _rpc(path: str, method: MethodDescriptorProto, comment: str) -> Rpc:
    declared = method.options.HasExtension(options_pb2.access)
    access = method.options.Extensions[options_pb2.access]
    return Rpc(
        path=path,
        role=options_pb2.Role.Name(access.role) if declared else "",
        scope=access.scope,
        comment=comment,
        request=_message(method.input_type, stream=method.client_streaming),
        response=_message(method.output_type, stream=method.server_streaming),
    )


def _message(full_name: str, *, stream: bool) -> str:
    return f"{'stream ' if stream else ''}{full_name.rpartition('.')[2]}"
