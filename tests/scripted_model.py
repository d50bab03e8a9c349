#!/usr/bin/env python3
"""A scripted stand-in for the model servers that coding agents talk to.

It serves four APIs on one loopback port, so that the real agents can be run offline and
repeatably, against turns written down in advance:

    Anthropic Messages   POST /v1/messages                     Claude Code
    OpenAI Responses     POST /v1/responses                    Codex CLI
    OpenAI Chat          POST /v1/chat/completions             opencode
    Gemini               POST /v1beta/models/M:generateContent, :streamGenerateContent

Usage: scripted_model.py SCRIPT [--port 0] [--log requests.jsonl] [--bodies]
    The first line printed is "listening on http://127.0.0.1:PORT" (port 0: any free one).
    SCRIPT is a file, or the JSON itself when it begins with "[" or "{".

Script: a list of turns, one for each time the agent asks the model to go on,
        [{"shell": "touch made && ls"}, {"text": "All done."}]
    or several lists, chosen by a word in the human's latest prompt ("*": any other prompt):
        {"hello": [{"text": "Hi."}], "*": [{"shell": "date"}, {"text": "Done."}]}
    A turn holds any of
        "text": "…"                                    said (before the call, if there is one)
        "shell": "command line"                        a tool call, in neutral form, or
        "write": {"path": "/abs", "content": "…"}
        "edit":  {"path": "/abs", "old": "…", "new": "…"}
        "read":  "/abs"
        "tool":  {"name": "mcp__srv__ask", "args": {}}    any offered tool, by its own name
        "calls": [{"shell": "…"}, {"read": "…"}]       several calls in one turn
        "delay": 5                                     seconds to wait before answering
        "error": 500                                   answer with this HTTP status instead
        "kind": "…", "said": "…", "headers": {…}       of that error, where the usual ones are not meant
        "body": {…}                                    all of that error's answer instead
        "resets": 3600                                 seconds: "{resets}" in these is that time, as an epoch number
        "minute": true                                 that time is put off to the next full minute
        "then": {…}                                    the turn from that time on (of the first time it was asked for)
    In a text, "{run}" is the token that `tmux-agent wrap` names in its instruction, if that has arrived.
    A neutral call becomes the tool that the agent offers in its request (Bash, exec_command,
    run_shell_command, bash …; writes and edits become a patch where that is the tool).
    When the list is used up the answer is the text "(end of script)".

    Which turn is next is read from the request itself: the number of model turns already in
    its history (since the latest prompt, where lists are chosen by prompt). The server keeps
    no state (but when a turn with "resets" was first asked for), so retries, several agents at
    once and restarts all work. Requests that offer no tools (titles, summaries) get a short
    fixed text, or a minimal document if they ask for a JSON schema. Agents also send requests
    of their own that do offer tools (Codex does, after a prompt); a call that such a request
    cannot make becomes a text.

Log (--log): a JSON line per request {"t", "api", "path", "turn", "tools", "results",
    "answer"}; "results" are the outcomes of the latest tool calls as the model sees them, so
    a test can check that a denial and its reason arrived. --bodies adds the whole request.

Pointing an agent at it (URL = http://127.0.0.1:PORT)
    Claude Code  ANTHROPIC_BASE_URL=URL ANTHROPIC_API_KEY=sk-ant-dummy-0000
    Codex CLI    config.toml: model_provider = "scripted"
                 [model_providers.scripted] base_url = "URL/v1", wire_api = "responses"
    Gemini CLI   GOOGLE_GEMINI_BASE_URL=URL GEMINI_API_KEY=dummy; gemini -m gemini-2.5-flash
    opencode     a provider with npm "@ai-sdk/openai-compatible", options.baseURL "URL/v1"
"""
import argparse
import http.server
import itertools
import json
import math
import os
import re
import select
import threading
import time

TITLE = "Scripted session"      # the answer to a request that offers no tools
IDS = itertools.count(1)
FIRST = {}                      # turn with "resets" -> when it was first asked for


# ---- neutral calls -> the agent's own tools -------------------------------------------------
def patch(v):
    """The apply_patch text for a neutral write or edit."""
    if "content" in v:
        body = [f"*** Add File: {v['path']}", *("+" + line for line in v["content"].splitlines())]
    else:
        body = [f"*** Update File: {v['path']}", "@@", *("-" + line for line in v["old"].splitlines()),
                *("+" + line for line in v["new"].splitlines())]
    return "\n".join(["*** Begin Patch", *body, "*** End Patch"]) + "\n"


def javascript(tool, argument):
    """Codex's "code mode" offers one tool, exec, whose JavaScript calls the others."""
    return {"input": f"text(await tools.{tool}({json.dumps(argument)}));"}


def file_tools(write, edit, read, path, old, new, **more):
    """Converters for one agent's file tools; agents differ in how they spell the arguments."""
    return [("write", write, lambda v: {path: v["path"], "content": v["content"]}),
            ("edit", edit, lambda v: {path: v["path"], old: v["old"], new: v["new"], **more}),
            ("read", read, lambda v: {path: v})]


CONVERTERS = [      # (neutral kind, the agent's tool, its arguments); the first one offered is used
    *(("shell", name, lambda v: {"command": v, "description": "scripted command"})
      for name in ("Bash", "bash", "run_shell_command", "shell_command")),
    *file_tools("Write", "Edit", "Read", "file_path", "old_string", "new_string"),
    *file_tools("write_file", "replace", "read_file", "file_path", "old_string", "new_string", instruction="scripted"),
    *file_tools("write", "edit", "read", "filePath", "oldString", "newString"),
    ("shell", "exec_command", lambda v: {"cmd": v}), ("read", "exec_command", lambda v: {"cmd": f"cat {v}"}),
    ("write", "apply_patch", lambda v: {"input": patch(v)}), ("edit", "apply_patch", lambda v: {"input": patch(v)}),
    ("shell", "exec", lambda v: javascript("exec_command", {"cmd": v})),
    ("read", "exec", lambda v: javascript("exec_command", {"cmd": f"cat {v}"})),
    ("write", "exec", lambda v: javascript("apply_patch", patch(v))),
    ("edit", "exec", lambda v: javascript("apply_patch", patch(v))),
    ("tool", "exec", lambda v: javascript(v["name"], v.get("args", {}))),
]


def make_call(call, offered):
    """(tool name, arguments) for one neutral call; LookupError if no offered tool fits."""
    if call.get("tool", {}).get("name") in offered:
        return call["tool"]["name"], call["tool"].get("args", {})
    for kind, name, convert in CONVERTERS:
        if kind not in call or name not in offered:
            continue
        if name != "exec" or "tools: { exec_command(" in offered[name].get("description", ""):
            return name, convert(call[kind])
    raise LookupError(f"(script: no tool for {json.dumps(call)[:80]}; offered: {' '.join(offered)[:300]})")


# ---- reading a request ----------------------------------------------------------------------
# Each reader returns (history, offered). history: ("prompt" | "model" | "result", text) in
# order. offered: the definitions of the tools on offer, by name.
def text_of(content):
    """The text in a message's content, in any of the APIs."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))


def read_anthropic(req):
    history = []
    for message in req.get("messages", []):
        parts = message["content"]
        parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        if message["role"] == "assistant":
            history.append(("model", ""))
        elif message["role"] == "user":
            history += [("result", text_of(part.get("content"))) for part in parts if part["type"] == "tool_result"]
            history += [("prompt", part["text"]) for part in parts
                        if part["type"] == "text" and not part["text"].startswith("<system-reminder>")]
    return history, {tool["name"]: tool for tool in req.get("tools") or []}


def read_responses(req):
    items = req.get("input", [])
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    history, tools, offered = [], list(req.get("tools") or []), {}
    for item in items:
        kind = item.get("type", "message")
        if kind == "additional_tools":
            tools += item["tools"]
        elif kind.endswith("_output"):
            history.append(("result", text_of(item.get("output"))))
        elif kind.endswith("_call") or item.get("role") == "assistant":
            history.append(("model", ""))
        elif kind == "message" and item["role"] == "user":
            history.append(("prompt", text_of(item["content"])))
    for tool in tools:
        inside = tool["tools"] if tool.get("type") == "namespace" else [tool]   # e.g. one MCP server's tools
        group = tool["name"] if inside != [tool] and tool["name"] != "functions" else None
        for one in inside:
            if "name" in one:
                offered[f"{group}__{one['name']}" if group else one["name"]] = {**one, "namespace": group}
    return history, offered


def read_chat(req):
    kinds = {"user": "prompt", "assistant": "model", "tool": "result"}
    history = [(kinds[m["role"]], text_of(m.get("content"))) for m in req.get("messages", []) if m["role"] in kinds]
    return history, {tool["function"]["name"]: tool for tool in req.get("tools") or []}


def read_gemini(req):
    history = []
    for content in req.get("contents", []):
        results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if content.get("role") == "model":
            history.append(("model", ""))
        elif results:
            history += [("result", json.dumps(result.get("response"))) for result in results]
        else:
            history.append(("prompt", text_of(content["parts"])))
    return history, {function["name"]: function for tool in req.get("tools") or []
                     for function in tool.get("functionDeclarations") or []}


# ---- writing an answer ----------------------------------------------------------------------
# Each writer returns (the whole answer, the same as a stream of (event name or None, object)).
# calls: a list of (tool name, arguments).
def new_id():
    return f"{os.getpid()}_{next(IDS)}"


def write_anthropic(req, text, calls, offered):
    blocks = [{"type": "text", "text": text}] if text else []
    blocks += [{"type": "tool_use", "id": f"toolu_{new_id()}", "name": n, "input": a} for n, a in calls]
    end = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    whole = {"id": f"msg_{new_id()}", "type": "message", "role": "assistant", "model": req.get("model"),
             "content": blocks, **end, "usage": {"input_tokens": 10, "output_tokens": 5}}
    events = [("message_start", {"message": {**whole, "content": [], "stop_reason": None}})]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start, delta = {**block, "text": ""}, {"type": "text_delta", "text": text}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [("content_block_start", {"index": index, "content_block": start}),
                   ("content_block_delta", {"index": index, "delta": delta}),
                   ("content_block_stop", {"index": index})]
    return whole, [*events, ("message_delta", {"delta": end, "usage": {"output_tokens": 5}}), ("message_stop", {})]


def write_responses(req, text, calls, offered):
    items = [{"type": "message", "role": "assistant", "id": f"msg_{new_id()}", "status": "completed",
              "content": [{"type": "output_text", "text": text, "annotations": []}]}] if text else []
    for name, arguments in calls:
        tool = offered[name]
        item = {"call_id": f"call_{new_id()}", "name": tool["name"]}
        if tool.get("type") == "custom":           # a free-form tool: bare text, not JSON
            items.append({**item, "type": "custom_tool_call", "input": arguments["input"]})
        else:
            group = {"namespace": tool["namespace"]} if tool["namespace"] else {}
            items.append({**item, **group, "type": "function_call", "arguments": json.dumps(arguments)})
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15}
    whole = {"id": f"resp_{new_id()}", "object": "response", "model": req.get("model"),
             "status": "completed", "output": items, "usage": usage}
    return whole, [("response.created", {"response": {**whole, "output": [], "status": "in_progress"}}),
                   *(("response.output_item.done", {"output_index": i, "item": item}) for i, item in enumerate(items)),
                   ("response.completed", {"response": whole})]


def write_chat(req, text, calls, offered):
    message = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [{"index": i, "id": f"call_{new_id()}", "type": "function",
                                  "function": {"name": name, "arguments": json.dumps(arguments)}}
                                 for i, (name, arguments) in enumerate(calls)]
    base = {"id": f"chatcmpl-{new_id()}", "created": int(time.time()), "model": req.get("model"),
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
    choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop"}
    chunk = {**base, "object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
    return {**base, "object": "chat.completion", "choices": [{**choice, "message": message}]}, [(None, chunk)]


def write_gemini(req, text, calls, offered):
    parts = [{"text": text}] if text else []
    parts += [{"functionCall": {"id": f"call_{new_id()}", "name": n, "args": a}} for n, a in calls]
    whole = {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
             "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}}
    return whole, [(None, whole)]


APIS = [("/messages", "anthropic", read_anthropic, write_anthropic),
        ("/responses", "responses", read_responses, write_responses),
        ("/chat/completions", "chat", read_chat, write_chat),
        (":generateContent", "gemini", read_gemini, write_gemini),
        (":streamGenerateContent", "gemini", read_gemini, write_gemini)]


# ---- choosing the answer --------------------------------------------------------------------
def choose_turn(script, history):
    """(turn, its number); see "Which turn is next" above."""
    turns = script
    if isinstance(script, dict):
        last = max((i for i, (kind, _) in enumerate(history) if kind == "prompt"), default=0)
        prompt, history = history[last][1] if history else "", history[last:]
        turns = next((script[word] for word in script if word != "*" and word in prompt), script.get("*", []))
    kinds = [None, *(kind for kind, _ in history)]
    number = sum(now == "model" != before for before, now in itertools.pairwise(kinds))
    return (turns[number] if number < len(turns) else {"text": "(end of script)"}), number


def wanted_schema(req):
    """The JSON schema that a request wants its answer in, or None."""
    gemini = req.get("generationConfig") or {}
    form = (req.get("output_config") or {}).get("format") or (req.get("text") or {}).get("format") or {}
    form = form or (req.get("response_format") or {}).get("json_schema") or {}
    return gemini.get("responseJsonSchema") or gemini.get("responseSchema") or form.get("schema")


def smallest(schema):
    """A minimal document of that schema."""
    kind = str(schema.get("type", "string")).lower()
    if schema.get("enum"):
        return schema["enum"][-1]
    if kind == "object":
        return {key: smallest(value) for key, value in (schema.get("properties") or {}).items()}
    return {"array": [], "boolean": False, "integer": 0, "number": 0}.get(kind, TITLE)


def resets(turn):
    """When the limit of such a turn ends."""
    at = FIRST.setdefault(json.dumps(turn), time.time()) + turn.get("resets", 0)
    return math.ceil(at / 60) * 60 if turn.get("minute") else at


def run_token(req):
    found = re.search(r"is ([0-9a-f]{16}), copied exactly", json.dumps(req))
    return found[1] if found else "no token"


def answer(script, req, history, offered):
    """(text, calls, turn, turn number) for one request."""
    if not offered:
        schema = wanted_schema(req)
        return (json.dumps(smallest(schema)) if schema else TITLE), [], {}, None
    turn, number = choose_turn(script, history)
    if "then" in turn and time.time() >= resets(turn):
        turn = turn["then"]
    kinds = {"shell", "write", "edit", "read", "tool"}
    try:
        calls = [make_call(call, offered) for call in turn.get("calls") or [turn] if kinds & call.keys()]
        return turn.get("text", "").replace("{run}", run_token(req)), calls, turn, number
    except LookupError as problem:
        return str(problem), [], turn, number


# ---- HTTP -----------------------------------------------------------------------------------
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_json(self, document, status=200, headers=()):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def send_error_of(self, turn):
        """The error that a turn stands for, with its time put in."""
        error = {"type": turn.get("kind", "api_error"), "message": turn.get("said", "scripted")}
        whole = [turn.get("body") or {"type": "error", "error": error}, turn.get("headers", {})]
        body, headers = json.loads(json.dumps(whole).replace('"{resets}"', str(int(resets(turn)))))
        self.send_json(body, turn["error"], {name: str(value) for name, value in headers.items()})

    def send_stream(self, events, done):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")    # the end of the connection ends the stream
        self.end_headers()
        for name, event in events:
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {json.dumps({'type': name, **event} if name else event)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(done)

    def do_GET(self):                              # model lists, connection checks
        self.server.record(api=None, path=f"{self.command} {self.path}")
        self.send_json({"object": "list", "data": [], "models": []}, 404 if self.headers.get("upgrade") else 200)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def do_POST(self):
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        api, read, write = next((rest for end, *rest in APIS if path.endswith(end)), [None] * 3)
        if not api:                                # token counts, telemetry and the like
            self.server.record(api=None, path=f"POST {path}")
            self.send_json({"input_tokens": 10, "totalTokens": 10})
            return
        req = json.loads(body)
        history, offered = read(req)
        text, calls, turn, number = answer(self.server.script, req, history, offered)
        results = [text for kind, text in itertools.takewhile(lambda entry: entry[0] == "result", history[::-1])]
        self.server.record(api=api, path=f"POST {path}", turn=number, tools=list(offered), results=results[::-1],
                           answer={"text": text, "calls": calls}, body=req)
        select.select([self.connection], [], [], turn.get("delay", 0))  # less where the agent gives it up
        stream = bool(req.get("stream")) or path.endswith(":streamGenerateContent")
        whole, events = write(req, text, calls, offered)
        try:
            if "error" in turn:
                self.send_error_of(turn)
            elif stream:
                self.send_stream(events, b"data: [DONE]\n\n" if api == "chat" else b"")
            else:
                self.send_json(whole)
        except ConnectionError:
            self.close_connection = True           # the agent gave this request up


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script, port=0, log=None, bodies=False):
        super().__init__(("127.0.0.1", port), Handler)
        self.script, self.log, self.bodies, self.lock = script, log, bodies, threading.Lock()

    def record(self, body=None, **entry):
        if self.log:
            entry = {"t": round(time.time(), 3), **entry, **({"body": body} if self.bodies else {})}
            with self.lock:
                print(json.dumps(entry), file=self.log, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("script", help="the turns: a file, or the JSON itself")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=argparse.FileType("a"), help="append one JSON line per request")
    parser.add_argument("--bodies", action="store_true", help="log whole requests too")
    args = parser.parse_args()
    text = args.script
    if not text.lstrip().startswith(("[", "{")):
        with open(text, encoding="utf-8") as file:
            text = file.read()
    server = Server(json.loads(text), args.port, args.log, args.bodies)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
