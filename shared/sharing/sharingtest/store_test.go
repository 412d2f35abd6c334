package sharingtest

import (
	"testing"

	"fitvault/shared/access"
)

func TestStore(t *testing.T) {
	s := &Store{}
	Contract(t, s, func(_ *testing.T, o access.Owner) { s.Put("", "", access.Documents{Owner: &o}) })
}
