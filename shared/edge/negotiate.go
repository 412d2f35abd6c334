package edge

import (
	"github.com/elnormous/contenttype"

	"fitvault/shared/fault"
)

// Negotiate chooses the offered media type that an Accept header likes best
// (RFC 9110, section 12.5.1); the first offered one where the header is absent
// or has no preference. An Accept that cannot be read, or likes none, is
// fault.NotAcceptable.
func Negotiate(accept string, offered ...string) (string, error) {
	if accept == "" {
		return offered[0], nil
	}
	types := make([]contenttype.MediaType, len(offered))
	for i, o := range offered {
		types[i] = contenttype.NewMediaType(o)
	}
	best, _, err := contenttype.GetAcceptableMediaTypeFromHeader(accept, types)
	if err != nil {
		return "", fault.New(fault.NotAcceptable, "no offered media type is acceptable")
	}
	return best.String(), nil
}
