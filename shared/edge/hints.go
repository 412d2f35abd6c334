package edge

import (
	"sync"

	"fitvault/shared/access"
)

// maxHints bounds the memory of hints: some 200 bytes each.
const maxHints = 4096

// hints remember which account an identity's document last led to, so that a
// request about `me` reads the caller's and the owner's document in one go. They
// decide nothing: the caller's document, read with every request, says whose
// account it is, and where that is another the owner's document is read anew.
type hints struct {
	mu       sync.Mutex
	accounts map[[2]string]access.UserID // by issuer and subject
}

func (h *hints) of(issuer, subject string) access.UserID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.accounts[[2]string{issuer, subject}]
}

func (h *hints) set(issuer, subject string, user access.UserID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accounts == nil || len(h.accounts) >= maxHints {
		h.accounts = map[[2]string]access.UserID{}
	}
	h.accounts[[2]string{issuer, subject}] = user
}
