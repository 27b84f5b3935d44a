from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[DType]
    FLOAT32: _ClassVar[DType]
    FLOAT16: _ClassVar[DType]
    BFLOAT16: _ClassVar[DType]
    FLOAT64: _ClassVar[DType]
    INT8: _ClassVar[DType]
    INT16: _ClassVar[DType]
    INT32: _ClassVar[DType]
    INT64: _ClassVar[DType]
    UINT8: _ClassVar[DType]
    UINT16: _ClassVar[DType]
    UINT32: _ClassVar[DType]
    UINT64: _ClassVar[DType]
    BOOL: _ClassVar[DType]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    SMASHED: _ClassVar[Role]
    LABEL: _ClassVar[Role]
    SAMPLE_WEIGHT: _ClassVar[Role]
    OUTPUT: _ClassVar[Role]
    LOGITS: _ClassVar[Role]
    MASK: _ClassVar[Role]
    LOSS_TERM: _ClassVar[Role]
    CUT_GRADIENT: _ClassVar[Role]
    PLACES: _ClassVar[Role]
    SQUARED_NORMS: _ClassVar[Role]
    FINITE: _ClassVar[Role]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    TRAIN: _ClassVar[Mode]
    TEST: _ClassVar[Mode]
    PREDICT: _ClassVar[Mode]
DTYPE_UNSPECIFIED: DType
FLOAT32: DType
FLOAT16: DType
BFLOAT16: DType
FLOAT64: DType
INT8: DType
INT16: DType
INT32: DType
INT64: DType
UINT8: DType
UINT16: DType
UINT32: DType
UINT64: DType
BOOL: DType
ROLE_UNSPECIFIED: Role
SMASHED: Role
LABEL: Role
SAMPLE_WEIGHT: Role
OUTPUT: Role
LOGITS: Role
MASK: Role
LOSS_TERM: Role
CUT_GRADIENT: Role
PLACES: Role
SQUARED_NORMS: Role
FINITE: Role
MODE_UNSPECIFIED: Mode
TRAIN: Mode
TEST: Mode
PREDICT: Mode

class Frame(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: Header
    data: bytes
    def __init__(self, header: _Optional[_Union[Header, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("request", "tensors", "begin", "begun", "step", "stepped", "infer", "inferred", "snapshot", "restore", "ticket", "finalize", "inspect", "inspected", "host", "hosted", "forwarded", "backward", "commit", "committed", "reset_states", "measured", "settle", "swap")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPPED_FIELD_NUMBER: _ClassVar[int]
    INFER_FIELD_NUMBER: _ClassVar[int]
    INFERRED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    INSPECT_FIELD_NUMBER: _ClassVar[int]
    INSPECTED_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    HOSTED_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    BACKWARD_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    RESET_STATES_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    SWAP_FIELD_NUMBER: _ClassVar[int]
    request: int
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    begin: Begin
    begun: Begun
    step: Step
    stepped: Stepped
    infer: Infer
    inferred: Inferred
    snapshot: Snapshot
    restore: Restore
    ticket: Ticket
    finalize: Finalize
    inspect: Inspect
    inspected: Inspected
    host: Host
    hosted: Hosted
    forwarded: Forwarded
    backward: Backward
    commit: Commit
    committed: Committed
    reset_states: ResetStates
    measured: Measured
    settle: Settle
    swap: Swap
    def __init__(self, request: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., begin: _Optional[_Union[Begin, _Mapping]] = ..., begun: _Optional[_Union[Begun, _Mapping]] = ..., step: _Optional[_Union[Step, _Mapping]] = ..., stepped: _Optional[_Union[Stepped, _Mapping]] = ..., infer: _Optional[_Union[Infer, _Mapping]] = ..., inferred: _Optional[_Union[Inferred, _Mapping]] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., restore: _Optional[_Union[Restore, _Mapping]] = ..., ticket: _Optional[_Union[Ticket, _Mapping]] = ..., finalize: _Optional[_Union[Finalize, _Mapping]] = ..., inspect: _Optional[_Union[Inspect, _Mapping]] = ..., inspected: _Optional[_Union[Inspected, _Mapping]] = ..., host: _Optional[_Union[Host, _Mapping]] = ..., hosted: _Optional[_Union[Hosted, _Mapping]] = ..., forwarded: _Optional[_Union[Forwarded, _Mapping]] = ..., backward: _Optional[_Union[Backward, _Mapping]] = ..., commit: _Optional[_Union[Commit, _Mapping]] = ..., committed: _Optional[_Union[Committed, _Mapping]] = ..., reset_states: _Optional[_Union[ResetStates, _Mapping]] = ..., measured: _Optional[_Union[Measured, _Mapping]] = ..., settle: _Optional[_Union[Settle, _Mapping]] = ..., swap: _Optional[_Union[Swap, _Mapping]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("dtype", "dims", "model")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DIMS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    dtype: DType
    dims: _containers.RepeatedScalarFieldContainer[int]
    model: int
    def __init__(self, dtype: _Optional[_Union[DType, str]] = ..., dims: _Optional[_Iterable[int]] = ..., model: _Optional[int] = ...) -> None: ...

class TensorSpec(_message.Message):
    __slots__ = ("role", "dtype", "dims", "index", "rank", "name", "tie")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    DIMS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIE_FIELD_NUMBER: _ClassVar[int]
    role: Role
    dtype: DType
    dims: _containers.RepeatedScalarFieldContainer[int]
    index: int
    rank: _containers.RepeatedScalarFieldContainer[int]
    name: str
    tie: int
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., dtype: _Optional[_Union[DType, str]] = ..., dims: _Optional[_Iterable[int]] = ..., index: _Optional[int] = ..., rank: _Optional[_Iterable[int]] = ..., name: _Optional[str] = ..., tie: _Optional[int] = ...) -> None: ...

class Peer(_message.Message):
    __slots__ = ("protocol", "package_version", "keras_version", "tensorflow_version", "fingerprint")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    KERAS_VERSION_FIELD_NUMBER: _ClassVar[int]
    TENSORFLOW_VERSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    package_version: str
    keras_version: str
    tensorflow_version: str
    fingerprint: str
    def __init__(self, protocol: _Optional[int] = ..., package_version: _Optional[str] = ..., keras_version: _Optional[str] = ..., tensorflow_version: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("peer", "model", "settings_json")
    PEER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    peer: Peer
    model: str
    settings_json: str
    def __init__(self, peer: _Optional[_Union[Peer, _Mapping]] = ..., model: _Optional[str] = ..., settings_json: _Optional[str] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("peer", "model", "topology_json", "topology_digest", "settings_json", "accepts_settings", "version", "body_json", "max_message_bytes")
    PEER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_JSON_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BODY_JSON_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    peer: Peer
    model: str
    topology_json: str
    topology_digest: str
    settings_json: str
    accepts_settings: bool
    version: int
    body_json: str
    max_message_bytes: int
    def __init__(self, peer: _Optional[_Union[Peer, _Mapping]] = ..., model: _Optional[str] = ..., topology_json: _Optional[str] = ..., topology_digest: _Optional[str] = ..., settings_json: _Optional[str] = ..., accepts_settings: bool = ..., version: _Optional[int] = ..., body_json: _Optional[str] = ..., max_message_bytes: _Optional[int] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("model", "topology_digest", "mode", "inputs", "labels_structure", "sample_weight_structure", "wants_cut_gradients", "graded", "shadow")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_STRUCTURE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_WEIGHT_STRUCTURE_FIELD_NUMBER: _ClassVar[int]
    WANTS_CUT_GRADIENTS_FIELD_NUMBER: _ClassVar[int]
    GRADED_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    model: str
    topology_digest: str
    mode: Mode
    inputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    labels_structure: str
    sample_weight_structure: str
    wants_cut_gradients: bool
    graded: _containers.RepeatedScalarFieldContainer[int]
    shadow: str
    def __init__(self, model: _Optional[str] = ..., topology_digest: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., inputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., labels_structure: _Optional[str] = ..., sample_weight_structure: _Optional[str] = ..., wants_cut_gradients: bool = ..., graded: _Optional[_Iterable[int]] = ..., shadow: _Optional[str] = ...) -> None: ...

class PrepareReply(_message.Message):
    __slots__ = ("signature", "outputs", "outputs_structure", "shadow", "kept")
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_STRUCTURE_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    signature: str
    outputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    outputs_structure: str
    shadow: str
    kept: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, signature: _Optional[str] = ..., outputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., outputs_structure: _Optional[str] = ..., shadow: _Optional[str] = ..., kept: _Optional[_Iterable[str]] = ...) -> None: ...

class Begin(_message.Message):
    __slots__ = ("model", "client", "topology_digest", "turn", "member")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    model: str
    client: str
    topology_digest: str
    turn: int
    member: str
    def __init__(self, model: _Optional[str] = ..., client: _Optional[str] = ..., topology_digest: _Optional[str] = ..., turn: _Optional[int] = ..., member: _Optional[str] = ...) -> None: ...

class Begun(_message.Message):
    __slots__ = ("turn", "version", "lineage")
    TURN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    turn: int
    version: int
    lineage: int
    def __init__(self, turn: _Optional[int] = ..., version: _Optional[int] = ..., lineage: _Optional[int] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("signature", "version", "learning_rate", "step", "lineage", "iterations")
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    signature: str
    version: int
    learning_rate: float
    step: int
    lineage: int
    iterations: int
    def __init__(self, signature: _Optional[str] = ..., version: _Optional[int] = ..., learning_rate: _Optional[float] = ..., step: _Optional[int] = ..., lineage: _Optional[int] = ..., iterations: _Optional[int] = ...) -> None: ...

class Forwarded(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Backward(_message.Message):
    __slots__ = ("step",)
    STEP_FIELD_NUMBER: _ClassVar[int]
    step: int
    def __init__(self, step: _Optional[int] = ...) -> None: ...

class Measured(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Settle(_message.Message):
    __slots__ = ("step",)
    STEP_FIELD_NUMBER: _ClassVar[int]
    step: int
    def __init__(self, step: _Optional[int] = ...) -> None: ...

class Stepped(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class Infer(_message.Message):
    __slots__ = ("model", "signature", "combine")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    COMBINE_FIELD_NUMBER: _ClassVar[int]
    model: str
    signature: str
    combine: bool
    def __init__(self, model: _Optional[str] = ..., signature: _Optional[str] = ..., combine: bool = ...) -> None: ...

class Inferred(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Ticket(_message.Message):
    __slots__ = ("version", "nonce")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    version: int
    nonce: int
    def __init__(self, version: _Optional[int] = ..., nonce: _Optional[int] = ...) -> None: ...

class Restore(_message.Message):
    __slots__ = ("ticket", "weights_only")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_ONLY_FIELD_NUMBER: _ClassVar[int]
    ticket: Ticket
    weights_only: bool
    def __init__(self, ticket: _Optional[_Union[Ticket, _Mapping]] = ..., weights_only: bool = ...) -> None: ...

class Finalize(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Swap(_message.Message):
    __slots__ = ("number", "keeps")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEEPS_FIELD_NUMBER: _ClassVar[int]
    number: int
    keeps: bool
    def __init__(self, number: _Optional[int] = ..., keeps: bool = ...) -> None: ...

class Inspect(_message.Message):
    __slots__ = ("digests_only", "model_only")
    DIGESTS_ONLY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ONLY_FIELD_NUMBER: _ClassVar[int]
    digests_only: bool
    model_only: bool
    def __init__(self, digests_only: bool = ..., model_only: bool = ...) -> None: ...

class ResetStates(_message.Message):
    __slots__ = ("layer",)
    LAYER_FIELD_NUMBER: _ClassVar[int]
    layer: str
    def __init__(self, layer: _Optional[str] = ...) -> None: ...

class Inspected(_message.Message):
    __slots__ = ("names", "digests")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., digests: _Optional[_Iterable[str]] = ...) -> None: ...

class Host(_message.Message):
    __slots__ = ("body_json", "checkpoint_directory")
    BODY_JSON_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    body_json: str
    checkpoint_directory: str
    def __init__(self, body_json: _Optional[str] = ..., checkpoint_directory: _Optional[str] = ...) -> None: ...

class Hosted(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class TurnRequest(_message.Message):
    __slots__ = ("model", "topology_digest", "member", "since", "pinned", "address", "leaves", "looks", "epochs")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    LOOKS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    model: str
    topology_digest: str
    member: str
    since: int
    pinned: int
    address: str
    leaves: bool
    looks: bool
    epochs: int
    def __init__(self, model: _Optional[str] = ..., topology_digest: _Optional[str] = ..., member: _Optional[str] = ..., since: _Optional[int] = ..., pinned: _Optional[int] = ..., address: _Optional[str] = ..., leaves: bool = ..., looks: bool = ..., epochs: _Optional[int] = ...) -> None: ...

class TurnReply(_message.Message):
    __slots__ = ("turn", "used", "quota", "unit", "commit_every", "links", "more_links", "roster", "addresses", "commits", "waiting")
    class AddressesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TURN_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_EVERY_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    MORE_LINKS_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    turn: int
    used: float
    quota: float
    unit: str
    commit_every: int
    links: _containers.RepeatedScalarFieldContainer[bytes]
    more_links: bool
    roster: str
    addresses: _containers.ScalarMap[str, str]
    commits: int
    waiting: Waiting
    def __init__(self, turn: _Optional[int] = ..., used: _Optional[float] = ..., quota: _Optional[float] = ..., unit: _Optional[str] = ..., commit_every: _Optional[int] = ..., links: _Optional[_Iterable[bytes]] = ..., more_links: bool = ..., roster: _Optional[str] = ..., addresses: _Optional[_Mapping[str, str]] = ..., commits: _Optional[int] = ..., waiting: _Optional[_Union[Waiting, _Mapping]] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("member", "trains", "ahead", "seconds", "usual_seconds")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    TRAINS_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    USUAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    member: str
    trains: bool
    ahead: int
    seconds: float
    usual_seconds: float
    def __init__(self, member: _Optional[str] = ..., trains: bool = ..., ahead: _Optional[int] = ..., seconds: _Optional[float] = ..., usual_seconds: _Optional[float] = ...) -> None: ...

class Commit(_message.Message):
    __slots__ = ("link", "ends", "used")
    LINK_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    link: bytes
    ends: bool
    used: float
    def __init__(self, link: _Optional[bytes] = ..., ends: bool = ..., used: _Optional[float] = ...) -> None: ...

class Committed(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("model", "cut", "topology_digest", "version", "trainer", "turns", "steps", "inferences", "bytes_received", "bytes_sent", "uptime_seconds", "strategy", "peer", "run", "roster_epoch", "quota", "commits", "committed_version", "turn", "lease_seconds", "members")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    INFERENCES_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROSTER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    model: str
    cut: str
    topology_digest: str
    version: int
    trainer: str
    turns: int
    steps: int
    inferences: int
    bytes_received: int
    bytes_sent: int
    uptime_seconds: float
    strategy: str
    peer: Peer
    run: str
    roster_epoch: int
    quota: str
    commits: int
    committed_version: int
    turn: int
    lease_seconds: float
    members: _containers.RepeatedCompositeFieldContainer[Member]
    def __init__(self, model: _Optional[str] = ..., cut: _Optional[str] = ..., topology_digest: _Optional[str] = ..., version: _Optional[int] = ..., trainer: _Optional[str] = ..., turns: _Optional[int] = ..., steps: _Optional[int] = ..., inferences: _Optional[int] = ..., bytes_received: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., uptime_seconds: _Optional[float] = ..., strategy: _Optional[str] = ..., peer: _Optional[_Union[Peer, _Mapping]] = ..., run: _Optional[str] = ..., roster_epoch: _Optional[int] = ..., quota: _Optional[str] = ..., commits: _Optional[int] = ..., committed_version: _Optional[int] = ..., turn: _Optional[int] = ..., lease_seconds: _Optional[float] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("name", "state", "turns", "steps", "commits", "bytes_received", "bytes_sent", "waiting_seconds", "waited_seconds", "inferences", "refusals")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    WAITING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WAITED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    INFERENCES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    turns: int
    steps: int
    commits: int
    bytes_received: int
    bytes_sent: int
    waiting_seconds: float
    waited_seconds: float
    inferences: int
    refusals: int
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., turns: _Optional[int] = ..., steps: _Optional[int] = ..., commits: _Optional[int] = ..., bytes_received: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., waiting_seconds: _Optional[float] = ..., waited_seconds: _Optional[float] = ..., inferences: _Optional[int] = ..., refusals: _Optional[int] = ...) -> None: ...
