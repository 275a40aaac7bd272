def attention(a, q, k, v):
    scores = a.matmul(a.scale(q, q.shape[1] ** -0.5), a.transpose(k))
    return a.matmul(a.softmax(scores), v)
