package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-lambda-go/events"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Invoke is Handle on the event's JSON; so a Guard is a lambda.Handler. The body
// is decoded where it stands in the event: of a body of 4.5 MB each copy counts
// (docs/adr/0013-documents-in-streams.md).
func (g *Guard) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var event struct {
		events.APIGatewayProxyRequest
		Body inPlace `json:"body"`
	}
	if jsonv2.Unmarshal(payload, &event) != nil {
		return nil, errors.New("edge: not an event of API Gateway") // its text would repeat the event's
	}
	return json.Marshal(g.answer(ctx, event.APIGatewayProxyRequest, event.Body))
}

// inPlace is a JSON string as a part of the text that it was read from.
type inPlace []byte

// UnmarshalJSONFrom implements jsonv2.UnmarshalerFrom.
func (p *inPlace) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch {
	case value.Kind() == 'n':
	case value.Kind() != '"':
		return errors.New("edge: body is not text")
	case bytes.IndexByte(value, '\\') < 0: // base64 always
		*p = inPlace(value[1 : len(value)-1])
	default:
		*p, err = jsontext.AppendUnquote(nil, value)
	}
	return err
}
