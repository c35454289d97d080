"""`headworks release`: proposals, approvals, promotions, rollbacks, and the evidence for them."""

from __future__ import annotations

from headworks.cli.lazy import new_app
from headworks.cli.releases import archives, channels, proposals

app = new_app("Propose, approve, promote and roll back releases, with evidence.")

app.command("list")(channels.list_releases)
app.command("propose")(proposals.propose)
app.command("proposals")(proposals.list_proposals)
app.command("show")(proposals.show)
app.command("diff")(proposals.diff)
app.command("comment")(proposals.comment)
app.command("approve")(proposals.approve)
app.command("promote")(channels.promote)
app.command("rollback")(channels.rollback)
app.command("log")(channels.log)
app.command("close")(proposals.close)
app.command("block")(channels.block)
app.command("unblock")(channels.unblock)
app.command("verify")(archives.verify)
app.command("export")(archives.export)
app.command("import")(archives.take)
app.command("keys")(archives.keys)
