curl -sN "$URL/v1/completions" -H "Content-Type: application/json" -H "X-Request-Id: the-second" \
  -d '{"prompt": "To be, or", "max_tokens": 3, "temperature": 0, "stream": true,
       "stream_options": {"include_usage": true, "include_batch": true}}'
