"""What the official Python client makes of a server: prints one object with all that it saw."""
import json
import sys

import openai

base, path = sys.argv[1:]
sys.path.insert(0, path)
client = openai.OpenAI(base_url=base, api_key="secret", max_retries=0)
hello = [{"role": "user", "content": "Hello there"}]
seen = {"version": openai.__version__}

reply = client.chat.completions.create(model="tiny", messages=hello, max_tokens=30, logprobs=True, top_logprobs=2)
seen["text"] = reply.choices[0].message.content
seen["finish"] = reply.choices[0].finish_reason
seen["usage"] = reply.usage.model_dump()
seen["logprobs"] = len(reply.choices[0].logprobs.content)

stream = client.chat.completions.create(
    model="tiny", messages=hello, max_tokens=30, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
seen["streamed"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
seen["streamed_usage"] = chunks[-1].usage.completion_tokens

# left in the middle
stream = client.chat.completions.create(
    model="tiny", messages=hello, max_tokens=900, stream=True, logit_bias={"258": -100}
)
next(stream)
seen["left"] = next(stream).choices[0].delta.content is not None
stream.close()

seen["completion"] = client.completions.create(model="tiny", prompt="Once upon", max_tokens=5).choices[0].text
vectors = client.embeddings.create(model="tiny", input=["Hello there", "and there"])
seen["embeddings"] = [list(map(float, each.embedding)) for each in vectors.data]
seen["embedding_tokens"] = vectors.usage.prompt_tokens
seen["models"] = [model.id for model in client.models.list()]
for name, ask in {
    "wrong_model": lambda: client.chat.completions.create(model="other", messages=hello),
    "bad_parameter": lambda: client.chat.completions.create(model="tiny", messages=hello, n=3),
    "too_long": lambda: client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "x" * 2000}]
    ),
    "too_long_input": lambda: client.embeddings.create(model="tiny", input=["Hi", "x" * 2000]),
    "wrong_key": lambda: openai.OpenAI(base_url=base, api_key="guess", max_retries=0).models.list(),
}.items():
    try:
        ask()
        seen[name] = None
    except openai.APIStatusError as error:
        seen[name] = [type(error).__name__, error.status_code, error.code, error.param]
print(json.dumps(seen))
