package edge

import (
	"bytes"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/fault"
)

// DecodeJSON reads a small JSON body into v, a pointer to a struct: UTF-8, no member
// twice, none that v does not name, no null. What is not JSON is fault.BadRequest,
// the rest fault.Invalid. Which members must be there is the handler's to say.
func DecodeJSON(body []byte, v any) error {
	if !jsontext.Value(body).IsValid() {
		return fault.New(fault.BadRequest, "body is not JSON")
	}
	for d := jsontext.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.ReadToken()
		if err != nil { // the end: it is valid
			break
		}
		if token.Kind() == 'n' {
			return fault.New(fault.Invalid, "null is no value")
		}
	}
	if err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true)); err != nil {
		return fault.New(fault.Invalid, "body does not have the members asked for")
	}
	return nil
}
