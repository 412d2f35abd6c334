package main

import (
	"fitvault/shared/edge"
	"fitvault/shared/opening"
)

// opener opens the owner's pieces of one request.
type opener struct {
	*opening.Opener
	deployment, owner string
}

func (h handler) opener(c *edge.Call) *opener {
	return &opener{c.Opener(h.keys), h.deployment, c.Owner.User.String()}
}
