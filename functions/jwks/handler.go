package main

import (
	"context"
	"time"

	"fitvault/shared/edge"
	"fitvault/shared/jwks"
)

// maxAge is how long a client may keep the keys. A key that is replaced must be
// taken for as long after.
const maxAge = time.Hour

// publicKeys gives the public half of a pair by its name.
type publicKeys interface {
	AnyPublicKey(ctx context.Context, name string) (any, error)
}

// documents is the key set, of the pairs of these names.
func documents(ctx context.Context, keys publicKeys, names []string) ([]edge.Document, error) {
	var published []jwks.Key
	for _, name := range names {
		public, err := keys.AnyPublicKey(ctx, name)
		if err != nil {
			return nil, err
		}
		key, err := jwks.Of(public)
		if err != nil {
			return nil, err
		}
		published = append(published, key)
	}
	set, err := jwks.Set(published...)
	if err != nil {
		return nil, err
	}
	return []edge.Document{{Resource: "/.well-known/jwks.json", Body: set, MaxAge: maxAge}}, nil
}
