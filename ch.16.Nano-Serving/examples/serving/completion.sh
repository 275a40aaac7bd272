curl -s "$URL/v1/completions" -H "Content-Type: application/json" -H "X-Request-Id: the-first" \
  -d '{"prompt": "To be, or", "max_tokens": 8, "temperature": 0}'
