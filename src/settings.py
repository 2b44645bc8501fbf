"""All settings of Framewatch, and the only place that reads the environment.

Each field can be set by an option of the command that uses it or by an environment variable: the field's name
in capitals with ``FRAMEWATCH_`` before it, save for ``KAFKA_BOOTSTRAP_SERVERS``, ``MONGODB_URI`` and the ``AWS_``
ones, which other programs know too. An option wins over the environment. A process that we start gets all settings of
its parent in its environment, whichever way they were given: ``Settings.child_environment``.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import platformdirs
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from framewatch.errors import SettingError
from framewatch.model.names import DEFAULT_TOPIC, checked_stream_name, checked_topic_name
from framewatch.objects.base import Access
from framewatch.origins import Hosts, Networks, Origins

PREFIX = "FRAMEWATCH_"
_OPTIONS: Final = "_FRAMEWATCH_OPTIONS"  # names the variables of a child that were options of its parent
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

_US_PER_DAY: Final = 24 * 3600 * 1_000_000

_log = logging.getLogger(__name__)

RuntimeName = Literal["auto", "openvino", "litert"]
Name = Annotated[str, AfterValidator(checked_stream_name)]
Topic = Annotated[str, AfterValidator(checked_topic_name)]


def _models_folder() -> Path:
    """The checkout's own; the user's where the package is installed without one."""
    checkout = Path(__file__).resolve().parents[1]
    is_one = (checkout / "pyproject.toml").is_file()
    return (checkout if is_one else platformdirs.user_data_path("framewatch")) / "models"


def _cores() -> int:
    """Cores this process may use: by the scheduler's word, and by its container's share of time."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups here
        return cores


class Settings(BaseSettings):
    """What a run of Framewatch is told from outside."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
    )

    home: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("framewatch"),
        description="folder of all state of a run: Kafka's logs, the store's files, logs, process ids",
    )
    cache: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("framewatch"),
        description="folder of the downloaded Kafka, shared by all homes",
    )

    kafka_bootstrap_servers: str | None = Field(
        default=None,
        min_length=1,
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka to use instead of the embedded one, host:port[,host:port…]",
    )
    kafka_options: dict[str, str] = Field(
        default_factory=dict,
        repr=False,  # passwords stand in it
        description='librdkafka options for every client, as JSON: {"security.protocol": "SASL_SSL", …}',
    )
    mongodb_uri: SecretStr | None = Field(
        default=None,
        min_length=1,  # an empty one must not silently mean the embedded store
        validation_alias="MONGODB_URI",
        description="MongoDB to use instead of the embedded store, mongodb://…",
    )
    database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,38}$")] = Field(
        default="framewatch", description="name of the MongoDB database"
    )

    topic: Topic = Field(DEFAULT_TOPIC, description="topic of the frames")
    partitions: int = Field(
        default=8, ge=1, le=1000, description="partitions of the topic when Framewatch makes it: streams go by key"
    )
    replication: int = Field(default=1, ge=1, le=7, description="replicas of the topic when Framewatch makes it")
    group: Name = Field(default="framewatch", description="consumer group: workers of one group share the streams")
    instance: Name | None = Field(
        default=None, description="fixed name of this worker in its group, so that a restart takes over at once"
    )

    stream: Name | None = Field(default=None, description="name of the stream; from the source when not given")
    run: Name | None = Field(default=None, description="id of this run of the producer; made when not given")
    quality: int = Field(default=90, ge=1, le=100, description="JPEG quality of the frames on the topic")
    max_side: int = Field(
        default=1920, ge=16, le=8192, description="pixels of a frame's longer side: larger pictures are scaled down"
    )

    preset: str = Field(default="faces", description="classifier by name, such as faces or emotions")
    model: Path | None = Field(
        default=None, description="classifier by the folder of its trained model, instead of a preset"
    )
    models: Path = Field(
        default_factory=_models_folder, description="folder of the presets' trained models, each by its name"
    )
    runtime: RuntimeName = Field(
        default="auto", description="what runs a trained model: openvino, litert, or auto, the first that can"
    )
    classifier_threads: int = Field(
        default_factory=_cores, ge=1, le=256, description="frames classified side by side"
    )
    save_images: Path | None = Field(
        default=None, description="folder to which frames are written, faces/ those with a face, not_face/ the others"
    )
    retention_days: float = Field(
        default=30, gt=0, le=36500, description="events, episodes, alerts and uploads older than this are deleted"
    )

    rules: Path | None = Field(
        default=None, description="YAML file of the rules that raise alerts, such as sitting for too long"
    )
    webhook: SecretStr | None = Field(
        default=None, min_length=8, description="address that each alert is posted to as JSON, http://… or https://…"
    )
    episode_gap: float = Field(
        default=2,
        ge=0,
        le=3600,
        description="seconds that a label may be out of sight before the next look at it begins a new episode",
    )

    output: str | None = Field(
        default=None,
        min_length=1,
        description="bucket or folder to which the result of each picture that has a file name is written as JSON: "
        "s3://bucket/output/",
    )
    aws_endpoint_url: str | None = Field(
        default=None,
        repr=False,
        validation_alias="AWS_ENDPOINT_URL",
        description="object store (MinIO or another) to use instead of AWS's own, http://host:port",
    )
    aws_access_key_id: str | None = Field(
        default=None, repr=False, validation_alias="AWS_ACCESS_KEY_ID", description="key for the object store"
    )
    aws_secret_access_key: SecretStr | None = Field(
        default=None, validation_alias="AWS_SECRET_ACCESS_KEY", description="secret of that key"
    )
    aws_session_token: SecretStr | None = Field(
        default=None, validation_alias="AWS_SESSION_TOKEN", description="session token, where the key is lent"
    )
    aws_region: str | None = Field(default=None, validation_alias="AWS_REGION", description="region of the buckets")

    host: str = Field(default="127.0.0.1", description="address the web server listens on")
    port: int = Field(default=5000, ge=1, le=65535, description="port the web server listens on")
    user: str = Field(default="framewatch", description="user name for the web pages")
    password: SecretStr | None = Field(
        default=None, min_length=8, description="password for the web pages; needed to listen on other than loopback"
    )
    insecure: bool = Field(default=False, description="listen on any address without a password")
    max_viewers: int = Field(default=128, ge=1, le=1000, description="live viewers at a time; one more gets a 503")

    hosts: Hosts = Field(
        default=(),
        description="names of this server in the addresses of its pages, where a proxy stands before it: a.org,b.org",
    )
    origins: Origins = Field(
        default=(), description="sites whose pages may use the API in a browser: https://a.org,https://b.org"
    )

    trusted_proxies: Networks = Field(
        default=(),
        description="reverse proxies whose X-Forwarded-For is believed, addresses or networks: 127.0.0.1,10.0.0.0/8",
    )

    max_upload_mb: float = Field(
        default=10, gt=0, le=100, description="megabytes of an uploaded picture; a larger one gets a 413"
    )
    max_video_mb: float = Field(
        default=500, gt=0, le=100_000, description="megabytes of an uploaded video; a larger one gets a 413"
    )
    max_predictions: int = Field(
        default=600, ge=1, le=60_000, description="pictures a minute that one client may send to /predict; then a 429"
    )

    _options: frozenset[str] = PrivateAttr(default=frozenset())

    def named(self, field: str) -> str:
        """The setting's name as the person wrote it: its option, else its variable."""
        return option_name(field) if field in self._options else environment_name(field)

    def object_access(self) -> Access:
        """How the object store is reached."""
        secret, token = self.aws_secret_access_key, self.aws_session_token
        return Access(
            endpoint=self.aws_endpoint_url or None,
            key_id=self.aws_access_key_id or None,
            secret=secret.get_secret_value() or None if secret else None,
            token=token.get_secret_value() or None if token else None,
            region=self.aws_region or None,
        )

    def chosen(self, *fields: str) -> str | None:
        """Which of some fields that exclude each other was given; an option wins over the others' variables.

        Raises:
            SettingError: two of them were given, in the same way.
        """
        given = [field for field in fields if field in self.model_fields_set]
        deciding = [field for field in given if field in self._options] or given
        if len(deciding) > 1:
            raise SettingError(f"{' and '.join(map(self.named, deciding))}: got both, expected one of them")
        return deciding[0] if deciding else None

    def child_environment(self, **changed: Any) -> dict[str, str]:
        """The environment for a process that is to have these settings, and all else that this one has.

        Args:
            changed: settings that the process is to have otherwise; None for its default.
        """
        environment = {name: value for name, value in os.environ.items() if name.upper() not in _variables()}
        given = {field: getattr(self, field) for field in self.model_fields_set} | changed
        given = {field: value for field, value in given.items() if value is not None}
        environment |= {environment_name(field): _as_text(value) for field, value in given.items()}
        return environment | {_OPTIONS: ",".join(sorted(self._options & set(given)))}

    @property
    def retention_us(self) -> int:
        """The retention in microseconds."""
        return round(self.retention_days * _US_PER_DAY)

    def is_loopback(self) -> bool:
        """Whether only this machine can reach the web server."""
        return self.host in LOOPBACK_HOSTS


def load_settings(**overrides: Any) -> Settings:
    """Settings of the environment under the given overrides; an override of None counts as not given.

    Raises:
        SettingError: a value cannot be used; one line names the setting, what was got and what is allowed.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    for line in misspelt(os.environ):
        _log.warning(line)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingError("; ".join(_complaints(error, given))) from None
    except SettingsError:  # of the one setting that is JSON
        raise SettingError(
            f'{environment_name("kafka_options")}: got a value not shown here: not JSON such as {{"name": "value"}}'
        ) from None
    settings._options = frozenset(given) | _options_of_parent()
    return settings


def _options_of_parent() -> frozenset[str]:
    """Settings that are in the environment because the person gave them to our parent as options."""
    return frozenset(os.environ.get(_OPTIONS, "").split(",")) & frozenset(Settings.model_fields)


def _variables() -> frozenset[str]:
    return frozenset(map(environment_name, Settings.model_fields))


def _as_text(value: Any) -> str:
    """A setting as it stands in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def option_name(field: str) -> str:
    """Name of the option that sets the given field."""
    return f"--{field.replace('_', '-')}"


def environment_name(field: str) -> str:
    """Name of the environment variable that sets the given field."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    """One line for each FRAMEWATCH_ variable that sets nothing, with the likeliest meant."""
    known = _variables()
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            bare = name.upper().removeprefix(PREFIX)
            near = [bare] if bare in known else difflib.get_close_matches(name.upper(), known, n=1)
            yield f"{name} sets nothing" + (f": is {near[0]} meant?" if near else "")


def _complaints(error: ValidationError, given: Mapping[str, Any]) -> Iterator[str]:
    """One clause for each wrong value: its name as the person wrote it, what was got, what is allowed."""
    by_alias = {environment_name(field): field for field in Settings.model_fields}
    for problem in error.errors():
        key = str(problem["loc"][0]) if problem["loc"] else "settings"
        field = by_alias.get(key, key)
        as_option = field in given or field in _options_of_parent()
        name = option_name(field) if as_option else environment_name(field)
        secret = field == "kafka_options" or "SecretStr" in str(Settings.model_fields[field].annotation)
        got = "a value not shown here" if secret else repr(problem["input"])
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "too_short":  # of a secret, which pydantic takes for a list
            text = f"expected {problem['ctx']['min_length']} or more characters"
        yield f"{name}: got {got}: {text[:1].lower()}{text[1:]}"
