package openmhealth

// Shapes is what one decoder has learned.
type Shapes = shapes

// DecodeWith is Decode with shapes of its own; with nil every record is judged by
// its schemas.
func DecodeWith(body []byte, owner string, limits Limits, shapes *Shapes) (Batch, error) {
	return decode(body, owner, limits, shapes)
}

const (
	MaxShapes  = maxShapes
	MaxLearned = maxLearned
)

// Literals is all that is remembered of records.
func (k *shapes) Literals() (all []string) {
	for _, s := range k.all() {
		all = append(append(all, s.literals...), s.key)
	}
	return all
}

func (k *shapes) Len() int { return len(k.all()) }
