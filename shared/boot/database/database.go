// Package database is what the mains of functions that speak SQL do besides
// boot: they find PostgreSQL, and sign in as their own role.
package database

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"

	"fitvault/shared/boot"
	"fitvault/shared/postgres"
)

// iam in DATABASE_SIGN_IN asks for IAM database authentication. Anything else
// is the name of an SSM parameter with a password, for the local PostgreSQL,
// which knows no IAM.
const iam = "iam"

// Open returns the database of the role that the function's settings name. It
// connects at the first use.
func Open(aws boot.AWS) *postgres.DB {
	db, err := postgres.Open(Config(aws))
	if err != nil {
		boot.Fail(err)
	}
	return db
}

// Config reads the settings DATABASE_HOST, _PORT, _NAME, _USER, _CA_PARAMETER
// and _SIGN_IN.
func Config(aws boot.AWS) postgres.Config {
	port, err := strconv.ParseUint(boot.Env("DATABASE_PORT"), 10, 16)
	if err != nil {
		boot.Fail(errors.New("setting DATABASE_PORT is no port"))
	}
	c := postgres.Config{
		Host:     boot.Env("DATABASE_HOST"),
		Port:     uint16(port),
		Database: boot.Env("DATABASE_NAME"),
		User:     boot.Env("DATABASE_USER"),
		CA:       aws.Parameter(boot.Env("DATABASE_CA_PARAMETER")).Value,
	}
	if parameter := boot.Env("DATABASE_SIGN_IN"); parameter != iam {
		c.Password = aws.Parameter(parameter).Value
		return c
	}
	c.Password = func(ctx context.Context) (string, error) {
		// Signed here, without a call: good for 15 minutes and for this host, port and user.
		endpoint := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
		return auth.BuildAuthToken(ctx, endpoint, aws.Config().Region, c.User, aws.Config().Credentials)
	}
	return c
}
