import os

import openai

client = openai.OpenAI(base_url=os.environ["URL"] + "/v1", api_key="none")
answer = client.completions.create(model="shakespeare", prompt="My lord,", max_tokens=8, temperature=0)
print(repr(answer.choices[0].text), answer.choices[0].finish_reason)
for chunk in client.completions.create(
    model="shakespeare", prompt="O Romeo,", max_tokens=6, temperature=0.8, seed=1, stream=True
):
    print(chunk.choices[0].text, end="|")
