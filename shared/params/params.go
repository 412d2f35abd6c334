// Package params is SSM Parameter Store: one text a parameter.
package params

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Parameter is one parameter.
type Parameter struct {
	Client *ssm.Client
	Name   string
}

// Value returns the parameter's text, also of a SecureString where the role may
// decrypt it.
func (p Parameter) Value(ctx context.Context) (string, error) {
	out, err := p.Client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(p.Name), WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Parameter.Value), nil
}

// PutSecret is Put of a SecureString, under AWS's own key for parameters.
func (p Parameter) PutSecret(ctx context.Context, value string) error {
	_, err := p.Client.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(p.Name), Value: aws.String(value), Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true)})
	return err
}

// Put replaces the parameter's text (at most 4 KB).
func (p Parameter) Put(ctx context.Context, value string) error {
	_, err := p.Client.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(p.Name), Value: aws.String(value), Overwrite: aws.Bool(true)})
	return err
}
