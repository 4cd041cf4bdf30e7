"""Who may hide what: acts that need two persons, and the one person alone on duty who breaks the glass (SAFETY S15)."""

from davylamp_alarms.book import Act, Facts, Review, in_run
from davylamp_alarms.definition import CEILINGS, NO_TAG, PointKind, Priority, position_of
from davylamp_alarms.memory import Memory
from davylamp_alarms.transition import Command, Refusal, Why

REVIEW_MS = 24 * 60 * 60 * 1000
"""How long the park has to review what one person did alone (SAFETY S15)."""

SHORTEST_REASON = 10
"""Characters of the reason for breaking the glass: who reviews it was not there."""

REVIEWERS = frozenset({"regulator", "administrator"})
"""Roles that review: the park, not the site's own duty room."""


def actor_of(by: str, second: str) -> str:
    """Return who acted: one name, or two."""
    return f"{by} + {second}" if second else by


def two_persons(by: str, second: str) -> bool:
    """Return whether two different persons stand behind an act."""
    return bool(by.strip()) and bool(second.strip()) and by.strip().casefold() != second.strip().casefold()


def needs_two(memory: Memory, facts: Facts) -> bool:
    """Return whether one person alone may not hide this alarm."""
    fire = facts.tag != NO_TAG and memory.layout.tag_class(facts.tag).kind is PointKind.FIRE
    return fire or facts.kind in CEILINGS or facts.priority is Priority.RED


def too_few(memory: Memory, seq: int, command: Command, subject: str) -> Refusal | None:
    """Return why an act that needs two persons may not be done by who asks for it; None where it may."""
    if two_persons(command.by, command.second):
        return None
    if not command.break_glass:
        zh = f"{subject}：L2、HH/LL、超量程、红色及火灾报警须两人确认"
        en = f"{subject}: L2, HH/LL, over-range, red and fire alarms are hidden by two persons"
        return Refusal(seq, Why.SECOND_PERSON, zh, en)
    if position_of(subject) not in memory.one_person:
        zh, en = "本岗位不是单人值守，须由第二人确认", "this is no one-person position: a second person must confirm"
        return Refusal(seq, Why.SECOND_PERSON, f"{subject}：{zh}", f"{subject}: {en}")
    if len(command.comment.strip()) < SHORTEST_REASON:
        zh = f"{subject}：单人应急操作须说明原因，至少 {SHORTEST_REASON} 个字"
        en = f"{subject}: breaking the glass needs a reason of at least {SHORTEST_REASON} characters"
        return Refusal(seq, Why.NO_REASON, zh, en)
    return None


def owe_review(memory: Memory, seq: int, command: Command, subject: str) -> bool:
    """Note that an act by one person must be reviewed; return whether it was one."""
    if two_persons(command.by, command.second):
        return False
    due_ms = command.at_ms + REVIEW_MS
    name = in_run(str(seq), memory.book.run)
    memory.book.young[Act.OWE, name] = command.at_ms
    memory.book.reviews[name] = Review(due_ms, command.by, str(command.op), subject, command.comment)
    return True


def review(memory: Memory, seq: int, command: Command) -> Refusal | None:
    """Close a review that is owed, or say why not."""
    owed = memory.book.reviews.get(command.review)
    if owed is None:
        zh, en = "没有这项待审查的操作", "there is no such act awaiting review"
        return Refusal(seq, Why.UNKNOWN, f"{command.review}：{zh}", f"{command.review}: {en}")
    if command.role not in REVIEWERS:
        zh, en = "须由园区（监管或管理员角色）审查", "the park reviews it: a regulator or an administrator"
        return Refusal(seq, Why.ROLE, zh, en)
    if not two_persons(owed.by, command.by):
        zh, en = "不能审查自己的操作", "nobody reviews an act of their own"
        return Refusal(seq, Why.SECOND_PERSON, zh, en)
    if not command.comment.strip():
        return Refusal(seq, Why.NO_REASON, "审查须写明意见", "a review needs a comment")
    del memory.book.reviews[command.review]
    return None
