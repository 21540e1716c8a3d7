"""The reduction methods: pure tensor maths on torch alone, one method a file; `core` holds what they share."""

if __name__ != "winnow.reducers":
    raise ImportError("say winnow.reducers: under another name its modules would be imported a second time")
