// Package redact keeps secrets and health values out of logs and errors by
// type: what embeds or is one of these types prints as [redacted] in every
// fmt verb, in JSON and in slog, wherever it ends up by mistake.
//
// One gap is Go's own: fmt calls no method on an unexported field, so a struct
// that holds a marked value in one must embed Mark too.
package redact

import (
	"fmt"
	"io"
	"log/slog"
)

// Text is what every redacted value prints as.
const Text = "[redacted]"

// Mark makes a struct that embeds it print as [redacted].
type Mark struct{}

func (Mark) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, Text) }
func (Mark) String() string               { return Text }
func (Mark) GoString() string             { return Text }
func (Mark) MarshalJSON() ([]byte, error) { return []byte(`"` + Text + `"`), nil }
func (Mark) MarshalText() ([]byte, error) { return []byte(Text), nil }
func (Mark) LogValue() slog.Value         { return slog.StringValue(Text) }
