// Package boot is what every function's main does first: read its settings,
// load AWS's, and log as JSON. A function that lacks a setting does not start.
package boot

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
	"fitvault/shared/limit"
	"fitvault/shared/metrics"
	"fitvault/shared/objects"
	"fitvault/shared/params"
	"fitvault/shared/trail"
)

// Env returns a setting, or ends the process and names the one that is missing.
func Env(name string) string {
	v := os.Getenv(name)
	if v == "" {
		Fail(fmt.Errorf("setting %s is empty", name))
	}
	return v
}

// Fail ends a function that cannot start. The texts are our own and the SDK's
// about settings; no request has been seen yet.
func Fail(err error) {
	Log().Error("cannot start", "error", err.Error())
	os.Exit(1)
}

// Log writes one JSON record a line to standard error. Each names the deployment,
// of which its metrics are.
func Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, nil)).With(metrics.DimensionDeployment, os.Getenv("DEPLOYMENT"))
}

// AWS holds the SDK's configuration for the clients that a function needs.
type AWS struct {
	config aws.Config
	clock  *dynamo.Clock // DynamoDB's, of all that the function asks of it
}

// Load reads region and credentials from the environment, as Lambda sets it.
func Load(ctx context.Context) AWS {
	c, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(transport(attemptWithin)))
	if err != nil {
		Fail(err)
	}
	c.Retryer = retryer // set here and not as an option, beside which AWS_MAX_ATTEMPTS would count for nothing
	return AWS{c, &dynamo.Clock{Own: time.Now}}
}

// Config is what clients are made of that are not made here.
func (a AWS) Config() aws.Config { return a.config }

// Tables is DynamoDB; the caller names the tables that it may use.
func (a AWS) Tables(names dynamo.Tables) dynamo.Tables {
	names.Client = dynamodb.NewFromConfig(a.config, a.clock.Listen)
	return names
}

// Changes is a stream of DynamoDB.
func (a AWS) Changes(arn string) dynamo.Changes {
	return dynamo.Changes{Client: dynamodbstreams.NewFromConfig(a.config), ARN: arn}
}

// Trail is what CloudTrail has recorded of a KMS key's use.
func (a AWS) Trail(key string) trail.History {
	return trail.History{Client: cloudtrail.NewFromConfig(a.config), Key: key, Pause: func(ctx context.Context, d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}}
}

// Limiter is the one that all functions share, on the Requests table.
func (a AWS) Limiter(tables dynamo.Tables) *dynamo.Limiter {
	return &dynamo.Limiter{Tables: tables, Clock: a.clock}
}

// Keys is KMS with a key for each purpose.
func (a AWS) Keys(arns map[string]string) kmskeys.Keys {
	return kmskeys.Keys{Client: kms.NewFromConfig(a.config), ARNs: arns}
}

// Bucket is one S3 bucket of objects of at most limit bytes.
func (a AWS) Bucket(name string, limit int64) objects.Bucket {
	client := s3.NewFromConfig(a.config, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	return objects.Bucket{Client: client, Name: name, Limit: limit}
}

// Parameter is one SSM parameter.
func (a AWS) Parameter(name string) params.Parameter {
	return params.Parameter{Client: ssm.NewFromConfig(a.config), Name: name}
}

// Edge is the guard's configuration of a function behind the API. A function
// has the settings of the user pools whose tokens its routes take.
func (a AWS) Edge(function string, tables dynamo.Tables) edge.Config {
	c := edge.Config{
		Function:  function,
		Documents: tables,
		Sessions:  tables,
		Audit:     tables,
		Limits:    limit.Limits{User: rate("USER_LIMIT"), Device: rate("DEVICE_LIMIT"), Address: rate("ADDRESS_LIMIT"), Client: rate("CLIENT_LIMIT")},
		Log:       Log(),
		Now:       time.Now,
		Rand:      rand.Reader,
		Origins:   strings.FieldsFunc(os.Getenv("WEB_ORIGINS"), func(r rune) bool { return r == ',' }),
	}
	tables.Requests = Env("REQUESTS_TABLE") // of limits; not every function uses it for more
	c.Limiter = a.Limiter(tables)
	c.AddressKey = edge.NewStoredAddressKey(a.Parameter(Env("ADDRESS_KEY_PARAMETER")), time.Now)
	staff := os.Getenv("STAFF_TOKEN_ISSUER") != ""
	if staff {
		c.StaffIssuer, c.StaffKeys = Env("STAFF_TOKEN_ISSUER"), a.tokenKeys("STAFF_TOKEN_KEYS_PARAMETER")
	}
	if !staff || os.Getenv("TOKEN_ISSUER") != "" {
		c.Issuer, c.Keys = Env("TOKEN_ISSUER"), a.tokenKeys("TOKEN_KEYS_PARAMETER")
	}
	return c
}

// rate is a setting in requests a minute.
func rate(name string) limit.Rate {
	n, err := strconv.ParseInt(Env(name), 10, 64)
	if err != nil {
		Fail(fmt.Errorf("setting %s is no number", name))
	}
	return limit.Rate(n)
}

func (a AWS) tokenKeys(parameter string) edge.TokenKeys {
	return edge.NewStoredKeys(a.Parameter(Env(parameter)), time.Now)
}

// Ring is the keyring of a function, on the keys that its role may use.
func Ring(deployment string, store keyring.Store, keys kmskeys.Keys, hold time.Duration) *keyring.Ring {
	return &keyring.Ring{Deployment: deployment, Store: store, KMS: keys, Hold: hold, Now: time.Now}
}
