"""HTTP of signing in and out: claim links and the session cookie."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from headworks.errors import HeadworksError
from headworks.identity.claim_page import SCRIPT, SCRIPT_PATH, refusal_page, sign_in_page
from headworks.identity.door import (
    Door,
    clear_session,
    declare,
    refuse_cross_site,
    refuse_insecure,
    session_token,
    set_session,
)

_NOT_STORED = {"cache-control": "no-store"}
_SEE_OTHER = 303

router = APIRouter(tags=["identity"])


@router.get("/claim/{token}", include_in_schema=False, openapi_extra=declare(None, None, "sign-in"))
async def open_claim(request: Request, token: str) -> HTMLResponse:
    """A page that redeems the link when a person sees it."""
    del token  # in the page's own address, where its form is sent
    return HTMLResponse(sign_in_page(is_signed_in=session_token(request) is not None), headers=_NOT_STORED)


@router.get(SCRIPT_PATH, include_in_schema=False, openapi_extra=declare(None, None, "sign-in"))
async def sign_in_script() -> Response:
    """The script of that page."""
    return Response(SCRIPT, media_type="text/javascript", headers={"cache-control": "no-cache"})


@router.post(
    "/claim/{token}", openapi_extra=declare(None, "session.start", "sign-in"), response_class=Response, status_code=303
)
async def redeem_claim(request: Request, token: str, accept: Annotated[str, Header()] = "*/*") -> Response:
    """Redeem the link: sets the session cookie and redirects to `/`.

    With `Accept: application/json` it answers 200 `{"principal", "tenant", "expires_at"}` instead, and errors as JSON.
    """
    door: Door = request.app.state.door
    wants_page = "text/html" in accept
    try:
        refuse_insecure(request)
        refuse_cross_site(request, is_browser_sure=False)
        session = await door.identity.redeem_claim(token, session_token(request))
    except HeadworksError as error:
        if not wants_page:
            raise
        return HTMLResponse(refusal_page(error.message, error.next_step), error.status, _NOT_STORED)
    response: Response = RedirectResponse("/", _SEE_OTHER, _NOT_STORED)
    if "application/json" in accept:
        shown = {
            "principal": session.principal,
            "tenant": session.tenant,
            "expires_at": session.expires_at.isoformat(timespec="seconds"),
        }
        response = JSONResponse(shown, headers=_NOT_STORED)
    set_session(request, response, session)
    return response


@router.post("/api/sign-out", openapi_extra=declare(None, "session.end", "sign-in"), status_code=204)
async def sign_out(request: Request) -> Response:
    """End the browser's session, if there is one."""
    door: Door = request.app.state.door
    token = session_token(request)
    if token is not None:
        refuse_cross_site(request)
        await door.identity.end_session(token)
    response = Response(status_code=204)
    clear_session(response)
    return response
