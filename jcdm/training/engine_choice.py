"""Which engine holds weights and moments, as the launcher asked."""

from accelerate import Accelerator
from accelerate.utils import DistributedType

from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.training.engine import PlainEngine


def choose_engine(accelerator: Accelerator, config: Config) -> PlainEngine:
    """Return the engine that `accelerate launch` asked for. Errors: ConfigError."""
    kind = accelerator.distributed_type
    if kind in (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU):
        return PlainEngine(accelerator, config)
    if kind is DistributedType.FSDP:
        from jcdm.training.engine_fsdp import FSDPEngine

        return FSDPEngine(accelerator, config)
    if kind is DistributedType.DEEPSPEED:
        from jcdm.training.engine_deepspeed import DeepSpeedEngine

        return DeepSpeedEngine(accelerator, config)
    raise ConfigError(
        f"accelerate was launched with {kind.value}; expected one process, data parallel ones, "
        "FSDP 2 or DeepSpeed. Launch with one of configs/accelerate."
    )
