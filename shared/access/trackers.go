package access

import (
	"time"

	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

// MaxTrackers is how many trackers an account may have: the owner's document is
// read with every request, and shall stay small (a few KB).
const MaxTrackers = 8

// Tracker is a tracker that is paired with an account.
type Tracker struct {
	redact.Mark
	Pairing string // random name of this pairing
	Key     []byte // the tracker's P-256 public key, compressed
	Name    string // as its owner calls it
	State   State  // Active or Lost
	Since   time.Time
}

// Lost is the State of a tracker that its owner has lost: nothing more is taken from it.
const Lost State = "lost"

// Settings is what an owner demands of uploads.
type Settings struct {
	Signed bool           // only payloads that a paired tracker has signed
	Sealed []reading.Type // only encrypted by the client for the service; sorted
}

// Role is what a member of the staff is.
type Role string

const Maker Role = "maker" // makes trackers, and registers them
