"""The page of the admin panel, which trackers answer with 200 to every path they do not know."""

from __future__ import annotations

from runner.emulator.answers import HTML_TYPE, Reply

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="robots" content="noindex">
  <title>Keitaro</title>
</head>
<body>
  <div id="app">
    <form method="post" action="/admin/" class="sign-in">
      <h1>Welcome back</h1>
      <label>Login <input name="login" autocomplete="username"></label>
      <label>Password <input name="password" type="password"></label>
      <button>Enter the panel</button>
    </form>
    <noscript>This panel needs JavaScript.</noscript>
  </div>
</body>
</html>
"""


def admin_page() -> Reply:
    """Return the sign-in page: 200 and HTML, whatever the method (seen on live trackers)."""
    return Reply(200, _PAGE.encode(), HTML_TYPE)
