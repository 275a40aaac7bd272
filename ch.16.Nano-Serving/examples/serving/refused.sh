ask() {
  curl -s "$URL/v1/completions" -H "Content-Type: application/json" -d "$1"
  echo
}
ask '{"prompt": "To be", "max_token": 8}'
ask '{"prompt": "To be", "temperature": NaN}'
ask '{"prompt": "To be", "n": 1000000000}'
ask '{"prompt": "To be", "best_of": 3}'
