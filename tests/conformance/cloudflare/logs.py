"""Makes calls with Cloudflare's SDK for Python, as its users do, and says what came of each. Judged is elsewhere.

In, on standard input: {"base_url", "account_id", "gateway_id", "auth", "calls": [{"operation", "id", "parameters", "auth"}]};
`auth` is {"token"} or {"email", "key"}, and a call may have its own. Out: an array of one outcome per call, see `perform`.
Retries are off, so that no failure is smoothed over.
"""

import json
import sys
from datetime import datetime

import cloudflare

task = json.load(sys.stdin)
scope = {"account_id": task["account_id"], "gateway_id": task["gateway_id"]}


def logs(auth):
    names = {"token": "api_token", "email": "api_email", "key": "api_key"}
    arguments = {names[name]: value for name, value in auth.items()}
    return cloudflare.Cloudflare(base_url=task["base_url"], max_retries=0, **arguments).ai_gateway.logs


def typed(parameters):
    """Dates as what this SDK has for them."""
    for name in {"start_date", "end_date"} & parameters.keys():
        parameters[name] = datetime.fromisoformat(parameters[name].replace("Z", "+00:00"))
    return parameters


def perform(call):
    resource = logs(call.get("auth", task["auth"]))
    parameters = typed(call.get("parameters", {}))
    match call["operation"]:
        case "list":  # every page
            return {"ids": [entry.id for entry in resource.list(**scope, **parameters)]}
        case "page":
            return {"ids": [entry.id for entry in resource.list(**scope, **parameters).result]}
        case "get":
            return {"entry": resource.get(call["id"], **scope).to_dict(mode="json")}
        case "request":
            return {"body": resource.request(call["id"], **scope)}
        case "response":
            return {"body": resource.response(call["id"], **scope)}
        case "edit":
            resource.edit(call["id"], **scope, **parameters)
            return {}
        case "delete":
            return {"success": resource.delete(**scope, **parameters).success}


def outcome(call):
    try:
        return perform(call)
    except cloudflare.APIStatusError as error:
        codes = [one.code for one in error.errors]
        return {"error": {"class": type(error).__name__, "status": error.status_code, "codes": codes}}


json.dump([outcome(call) for call in task["calls"]], sys.stdout)
