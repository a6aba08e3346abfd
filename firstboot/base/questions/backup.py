"""The step about backups: where they go, and when."""

from __future__ import annotations

from firstboot.base.backupplaces import kind_of, repository_problem
from firstboot.base.backuprules import DEFAULT_SCHEDULE, schedule_problem, target_problem
from firstboot.base.questions.judge import sentence
from firstboot.base.questions.model import Answer, Context, Kind, Question, Step, Verdict

REPOSITORY = "backup.targets[0].repository"
NAME = "backup.targets[0].name"


def _check_repository(typed: str, _context: Context) -> Verdict:
    problem = sentence(repository_problem(typed) or "")
    if problem or typed.startswith("disk:"):
        return Verdict(typed, problem=problem)
    return Verdict(typed, note="What it takes to get in there is asked for after the setup.")


def _check_name(typed: str, _context: Context) -> Verdict:
    name = typed.lower()
    return Verdict(name, problem=sentence(target_problem(name) or ""))


def _check_schedule(typed: str, _context: Context) -> Verdict:
    schedule = "".join(typed.lower().split())
    return Verdict(schedule, problem=sentence(schedule_problem(schedule) or ""))


def _has_place(context: Context) -> bool:
    return bool(context.text(REPOSITORY))


def _name(context: Context) -> Answer:
    try:
        return kind_of(context.text(REPOSITORY))
    except ValueError:
        return ""


def _schedule(_context: Context) -> Answer:
    return DEFAULT_SCHEDULE


STEP = Step(
    "backup",
    "Backups",
    "Everything is backed up to a place of yours, encrypted before it leaves the machine.",
    (
        Question(
            REPOSITORY,
            Kind.TEXT,
            "Backups to",
            "Where do backups go?",
            "disk:LABEL is a USB disk, by the label of its file system. Others are "
            "sftp:user@host:/folder, s3:https://s3.example.com/bucket and "
            "rest:https://backup.example.com/. Leave this empty to decide later: the machine says "
            "that it has no backups until then.",
            optional=True,
            check=_check_repository,
        ),
        Question(
            NAME,
            Kind.TEXT,
            "Its name",
            "What do you call that place?",
            "A short word by which the machine speaks of it. There may be more places later.",
            asked=_has_place,
            default=_name,
            check=_check_name,
        ),
        Question(
            "backup.schedule",
            Kind.TEXT,
            "At what time",
            "When are backups made, in UTC?",
            "Once a day at some moment between two times, such as 00:00-02:00, or hourly. Mail "
            "goes on meanwhile.",
            asked=_has_place,
            default=_schedule,
            check=_check_schedule,
        ),
    ),
)
