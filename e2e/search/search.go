// Package search looks for values where they must not be, in the forms that a
// program might have left them: as text, in base64, in hexadecimal digits,
// compressed, as binary numbers. It is made for canaries: values that a test
// has sent and that nobody else uses.
package search

import (
	"bytes"
	"fmt"
	"slices"
)

// Canary is one value in all the forms that are looked for.
type Canary struct {
	Name  string
	forms []form
}

// form is one way to write a canary.
type form struct {
	name string
	text []byte
}

// enough is how many bytes a form must have to be no coincidence: random bytes
// hold some 5 given ones once in 10^12 places. A shorter one counts only where
// the same form of another canary is in the same piece.
const enough = 5

// Hit says which canary was found, in which form, and how one gets there:
// "inflated from 12, hexadecimal from 0, float64 little-endian at 3".
type Hit struct{ Canary, Form, Where string }

// Plain looks for the canaries as they would stand in a piece itself.
func Plain(piece []byte, canaries ...Canary) []Hit { return plain(piece, "", canaries) }

// Deep looks at the piece, and at what comes of decoding and inflating it at any
// place: twice over, base64 of gzip for instance. Raw deflate, which has no mark
// to know it by, is tried from each of the first 64 KiB of the piece.
func Deep(piece []byte, canaries ...Canary) []Hit {
	d := deep{canaries: canaries}
	d.look(piece, "", 0)
	return d.hits
}

type deep struct {
	canaries []Canary
	inflater inflater
	hits     []Hit
}

// deflated is from how many places raw deflate is tried, by depth.
var deflated = [...]int{64 << 10, 16, 0}

func (d *deep) look(piece []byte, way string, depth int) {
	d.hits = append(d.hits, plain(piece, way, d.canaries)...)
	if depth == len(deflated)-1 {
		return
	}
	within := func(how string, at int, decoded []byte) {
		d.look(decoded, fmt.Sprintf("%s%s from %d, ", way, how, at), depth+1)
	}
	decodeRuns(piece, within)
	d.inflater.each(piece, deflated[depth], within)
}

func plain(piece []byte, way string, canaries []Canary) []Hit {
	var hits, short []Hit
	met := map[string][]string{} // short form → the canaries that were met in it
	for _, c := range canaries {
		for _, f := range c.forms {
			at := bytes.Index(piece, f.text)
			if at < 0 {
				continue
			}
			hit := Hit{c.Name, f.name, fmt.Sprintf("%s%s at %d", way, f.name, at)}
			if len(f.text) >= enough {
				hits = append(hits, hit)
				continue
			}
			short = append(short, hit)
			if !slices.Contains(met[f.name], c.Name) {
				met[f.name] = append(met[f.name], c.Name)
			}
		}
	}
	for _, hit := range short {
		if len(met[hit.Form]) > 1 {
			hits = append(hits, hit)
		}
	}
	return hits
}
