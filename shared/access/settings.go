package access

import "fitvault/shared/reading"

// Recording is the type that recordings have in settings and permits.
var Recording = reading.Type{Namespace: "fitvault", Name: "recording"}

// Settings is what an owner demands of uploads.
type Settings struct {
	Signed bool           // only payloads that a paired tracker has signed
	Sealed []reading.Type // only encrypted by the client for the service; sorted
}
