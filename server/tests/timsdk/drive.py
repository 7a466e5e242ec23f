"""Has the public REST client timsdk do all that concerns logins, and prints each answer as a JSON line.

The client's only host, and https, stand in its code. A transport of the HTTP library that it uses sends
what is meant for that host to the server under test, and changes nothing else of a request.
"""

import argparse
import json
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--packages", required=True)
parser.add_argument("--server", required=True)
parser.add_argument("app", type=int)
parser.add_argument("key_file")
arguments = parser.parse_args()
sys.path.insert(0, arguments.packages)

from requests.adapters import HTTPAdapter  # noqa: E402
from timsdk.tim_client import TimClient  # noqa: E402


class ToServer(HTTPAdapter):
    def send(self, request, **kwargs):
        request.url = arguments.server + request.path_url
        return super().send(request, **kwargs)


with open(arguments.key_file, encoding="utf-8") as file:
    key = file.read()


def client(identifier):
    made = TimClient(arguments.app, key, identifier)
    http = made.im_open_login_svc.get_client()._http
    http.trust_env = False
    http.mount("https://console.tim.qq.com/", ToServer())
    return made


administrator = client("administrator")
accounts = administrator.im_open_login_svc
for answer in [
    accounts.account_import("alice", nick="Alice 用户", face_url="http://example.org/a"),
    accounts.im_open_login_svc(["bob", "carol"]),
    accounts.account_check(["alice", "bob", "nobody"]),
    administrator.open_im.query_state(["alice", "nobody"]),
    administrator.open_config_svr.get_app_info(["RegistUserNumTotal"]),
    accounts.kick("alice"),
    accounts.kick("nobody"),
    accounts.account_delete(["alice", "nobody"]),
    client("alice").im_open_login_svc.kick("bob"),
]:
    print(json.dumps(answer))
