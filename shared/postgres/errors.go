package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"fitvault/shared/fault"
)

var errMalformed = fault.New(fault.Internal, "a database argument is malformed")

// state is a refusal by PostgreSQL: its code, and none of its texts, which
// repeat values and rows.
type state string

func (s state) Error() string     { return "SQLSTATE " + string(s) }
func (s state) ErrorCode() string { return string(s) }
func (s state) Service() string   { return fault.Database }

// unanswered is any other failure: no connection, none in time, or what a connection
// needs could not be had.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }
func (unanswered) Service() string { return fault.Database }

// mistakes are the classes of SQLSTATE for which trying again is of no use:
// feature, data, constraint, syntax and access rule, view.
var mistakes = []string{"0A", "22", "23", "42", "44"}

// Failed turns pgx's error into a fault; nil stays nil.
func Failed(err error) error {
	if err == nil {
		return nil
	}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return fault.Wrap(fault.Unavailable, "no answer from the database", unanswered{err})
	}
	for _, class := range mistakes {
		if strings.HasPrefix(refusal.Code, class) {
			return fault.Wrap(fault.Internal, "the database refused a query", state(refusal.Code))
		}
	}
	return fault.Wrap(fault.Unavailable, "the database could not do it now", state(refusal.Code))
}
