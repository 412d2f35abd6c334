package pairing

import (
	"testing"

	"fitvault/e2e/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }
