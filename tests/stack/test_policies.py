"""Mail to others goes as they want it (MTA-STS, RFC 8461), and waits rather than go otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firstboot.base.compose import resolved_network
from firstboot.base.run import run
from firstboot.base.services import Stack
from firstboot.base.waiting import wait_for
from firstboot.queue.reasons import explain
from firstboot.queue.spool import Spool
from tests.stack.boxes import Boxes
from tests.stack.changed import use_settings
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE
from tests.stack.policies import Far, await_waiting, far, make_pair, policy, require_kept_back
from tools.stack.example import ADA, example_settings
from tools.stack.lifecycle import StackUp

# The certificate names the servers of the first two domains. All of them are one Postfix.
POLICIES = {
    "kept.test": policy("enforce", "mx.kept.test"),
    "wide.test": policy("enforce", "*.wide.test"),
    "broken.test": policy("enforce", "mx.broken.test"),
    "moved.test": policy("enforce", "mx.elsewhere.test"),
    "trying.test": policy("testing", "mx.trying.test"),
}
NAMED = ["mx.kept.test", "mx.wide.test", *(f"mta-sts.{domain}" for domain in POLICIES)]
# The records say that there is a policy, and there is none; the web server is not who it should be.
LOST = "lost.test"


@pytest.fixture(scope="module")
def others(
    stack: StackUp, services: Stack, boxes: Boxes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    certificate, pair = make_pair(folder, NAMED)
    settings = example_settings(EXAMPLE, stack.home)
    trusting = ("mta", "sts")
    use_settings(stack, services, settings, trusting, authority=certificate, trusting=trusting)
    try:
        with far(boxes, folder, pair, POLICIES, [*POLICIES, LOST]) as found:
            yield found
    finally:
        use_settings(stack, services, settings, trusting)


def verified(boxes: Boxes) -> int:
    """How many connections to kept.test have shown the right certificate so far."""
    log = boxes.api.logs(boxes.ids["mta"]).decode()
    return log.count("Verified TLS connection established to mx.kept.test")


@pytest.mark.parametrize("domain", ["kept.test", "wide.test"])
def test_a_server_that_keeps_to_its_policy_gets_its_mail(
    others: Far, mail: Mail, domain: str
) -> None:
    mark = new_mark()
    mail.send(ADA, f"bob@{domain}", ordinary(mark))
    assert "with ESMTPS id" in others.await_message(mark)
    assert domain in others.policies.asked


@pytest.mark.parametrize("domain", ["broken.test", "moved.test"])
def test_a_server_that_does_not_gets_nothing_and_the_queue_says_why(
    stack: StackUp, others: Far, mail: Mail, domain: str
) -> None:
    require_kept_back(stack, others, mail, domain, text="certificate", advice="MTA-STS")
    assert domain in others.policies.asked


@pytest.mark.parametrize("domain", ["plain.test", "trying.test", LOST])
def test_who_has_no_policy_gets_mail_as_ever(others: Far, mail: Mail, domain: str) -> None:
    """Encrypted, if the server can, with whatever certificate."""
    mark = new_mark()
    mail.send(ADA, f"bob@{domain}", ordinary(mark))
    assert "with ESMTPS id" in others.await_message(mark)


def test_a_policy_is_known_without_its_servers(others: Far, mail: Mail, all_well: Boxes) -> None:
    """Also after a restart: who answers in the place of the name server cannot take it away."""
    all_well.kill("sts")
    all_well.mend()  # with a network of its own again
    server = resolved_network(f"{all_well.stack.home.project}_names").server
    process = all_well.inspect("sts")["State"]["Pid"]
    route = ("nsenter", f"--net=/proc/{process}/ns/net", "ip", "route")
    run([*route, "add", "unreachable", server])
    try:
        before = verified(all_well)
        mark = new_mark()
        mail.send(ADA, "bob@kept.test", ordinary(mark))
        assert "with ESMTPS id" in others.await_message(mark)
        wait_for(lambda: verified(all_well) > before, what="the connection in the log", timeout=120)
    finally:
        run([*route, "del", "unreachable", server])


def test_without_the_service_mail_waits_and_the_queue_says_why(
    stack: StackUp, others: Far, mail: Mail, all_well: Boxes
) -> None:
    all_well.kill("sts")
    mark = new_mark()
    mail.send(ADA, "bob@plain.test", ordinary(mark))
    spool = Spool(stack.engine, stack.home.project)
    said = await_waiting(spool, "bob@plain.test").recipients[0].said
    assert "`sts` does not run" in explain(said).text, said
    # What stays here, and its signature, does not depend on it.
    here = new_mark()
    mail.send(ADA, GRACE.address, ordinary(here))
    mail.fetch(GRACE, here)
    all_well.mend()
    spool.retry(None)
    others.await_message(mark)
