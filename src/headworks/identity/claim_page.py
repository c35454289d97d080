"""The pages behind a claim link.

Opening the link redeems nothing, so that a preview of it can't use it up: the page sends its form by itself as soon as
a person sees it, and without scripts there is its button.
"""

from __future__ import annotations

import html

SCRIPT_PATH = "/sign-in.js"

SCRIPT = """\
// A page that was only fetched ahead has no person before it yet.
const form = document.querySelector("form[data-send]");
const send = () => form.requestSubmit();
if (form && document.prerendering) document.addEventListener("prerenderingchange", send, { once: true });
else if (form) send();
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Headworks: sign in</title>
<link rel="icon" href="/console/icon.svg">
<link rel="stylesheet" href="/console/app.css">
</head>
<body>
<header class="bar">
<a class="brand" href="/"><img src="/console/icon.svg" alt="" width="24" height="24"> Headworks</a>
</header>
<main class="door">
<h1>{heading}</h1>
{content}
</main>
</body>
</html>
"""

_SIGN_IN = """\
<form method="post" data-send><p>One moment…</p><button>Sign in</button></form>
<script src="/sign-in.js" defer></script>"""

_SIGN_IN_INSTEAD = """\
<form method="post">
<p>You are signed in already. This link would sign you in anew, perhaps as somebody else.</p>
<button>Sign in with this link</button> <a href="/">Stay signed in</a>
</form>"""


def sign_in_page(*, is_signed_in: bool) -> str:
    """The page that a claim link opens. Where somebody is signed in it asks first: links can be sent by anybody."""
    if is_signed_in:
        return _PAGE.format(heading="Sign in anew?", content=_SIGN_IN_INSTEAD)
    return _PAGE.format(heading="Sign in", content=_SIGN_IN)


def refusal_page(message: str, next_step: str) -> str:
    """Why the link did not sign in, and what to do."""
    content = "\n".join(f"<p>{_sentence(each)}</p>" for each in (message, next_step))
    return _PAGE.format(heading="This link does not sign in", content=content)


def _sentence(text: str) -> str:
    """What stands between backticks is what is typed."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))
