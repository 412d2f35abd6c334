package dynamo

import (
	"encoding/base32"
	"encoding/hex"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A spelling is how a kind of id is written elsewhere. In an item it is binary,
// which is what it has of bytes and no more: items are counted and billed by them.
type spelling struct {
	bytes func(text string) []byte // nil: not of this spelling
	text  func([]byte) string
}

var (
	// userID is that of access.UserID, and of the other ids that intake makes.
	userID = spelling{
		func(s string) []byte { b, _ := lowerBase32.DecodeString(s); return b },
		lowerBase32.EncodeToString}
	// manifestID is that of vault.RequestsKey.ManifestID.
	manifestID = spelling{
		func(s string) []byte { b, _ := hex.DecodeString(s); return b },
		hex.EncodeToString}
	// uuid is that of API Gateway's request ids.
	uuid = spelling{
		func(s string) []byte { b, _ := hex.DecodeString(strings.ReplaceAll(s, "-", "")); return b },
		func(b []byte) string {
			s := hex.EncodeToString(b)
			if len(b) != 16 {
				return s
			}
			return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
		}}
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// value is an id for an item: binary, or text where it is spelt in another way
// (a caller before enrolment, a test's). What is read back is what was written.
func (s spelling) value(id string) types.AttributeValue {
	if b := s.bytes(id); len(b) > 0 && s.text(b) == id {
		return bytes(b)
	}
	return text(id)
}

// get is an id of an item, "" where there is none.
func (s spelling) get(i item, name string) string {
	if b := getBytes(i, name); len(b) > 0 {
		return s.text(b)
	}
	return getText(i, name)
}
