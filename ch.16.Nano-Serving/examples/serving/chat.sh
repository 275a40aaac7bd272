curl -s "$URL/v1/chat/completions" -H "Content-Type: application/json" -H "X-Request-Id: the-third" \
  -d '{"messages": [{"role": "user", "content": "Speak, what trade art thou?"}], "max_tokens": 12, "seed": 1}'
