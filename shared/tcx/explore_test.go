package tcx_test

import (
	"math/rand/v2"
	"testing"
	"slices"
	"fmt"
	"encoding/xml"
	"bytes"
)

func TestExplorePairs(t *testing.T) {
	doc := []byte(full(t))
	rng := rand.New(rand.NewPCG(11, 2))
	all := elements(t, doc)
	var ms []mutation
	for len(ms) < 20000 {
		pick := func(doc []byte, all []element) (string, []byte) {
			i := rng.IntN(len(all))
			var w []string; var d [][]byte
			for what, c := range mutationsOf(doc, all, i) { if rng.IntN(20)==0 { w = append(w, all[i].name+" "+what); d = append(d, slices.Clone(c)) } }
			if len(w)==0 { return "", doc }
			k := rng.IntN(len(w))
			return w[k], d[k]
		}
		w1, d1 := pick(doc, all)
		// well-formed?
		dec := xml.NewDecoder(bytes.NewReader(d1)); var err error
		for err == nil { _, err = dec.Token() }
		if err.Error() != "EOF" { continue }
		all1 := elements(t, d1)
		if len(all1)==0 {continue}
		for range 4 {
		w2, d2 := pick(d1, all1)
		ms = append(ms, mutation{w1 + " & " + w2, d2})
		}
	}
	fmt.Println(len(ms))
	compare(t, ms)
}
