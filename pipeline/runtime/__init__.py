"""Processors on Kafka, each event counted once. This package's front imports no Kafka and no Faust."""

from .contract import (
    Answer,
    Assignment,
    Call,
    CallingProcessor,
    Effects,
    LogRecord,
    Output,
    Perform,
    Processor,
    ProcessorFactory,
    Record,
    Refuse,
    RememberingProcessor,
    Stage,
    StateRecord,
)
from .options import KafkaOptions, RuntimeOptions

__all__ = [
    "Answer",
    "Assignment",
    "Call",
    "CallingProcessor",
    "Effects",
    "KafkaOptions",
    "LogRecord",
    "Output",
    "Perform",
    "Processor",
    "ProcessorFactory",
    "Record",
    "Refuse",
    "RememberingProcessor",
    "RuntimeOptions",
    "Stage",
    "StateRecord",
]
