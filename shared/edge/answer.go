package edge

import (
	"bytes"
	"encoding/json"
	"net/http"

	"fitvault/shared/fault"
)

// WriteJSON answers with a JSON document. What cannot be encoded is
// fault.Internal, and nothing has been written then.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a "<" would take six bytes of the 6 MB that a function may answer
	if err := e.Encode(v); err != nil {
		return fault.Wrap(fault.Internal, "answer cannot be encoded", err)
	}
	return WriteText(w, status, b.Bytes())
}

// WriteText answers with a JSON document that is text already.
func WriteText(w http.ResponseWriter, status int, text []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(text)
	return err
}
