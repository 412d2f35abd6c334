// Package gatewaykeys is the API keys of API Gateway, in one usage plan. No error
// repeats what was sent.
package gatewaykeys

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"fitvault/shared/fault"
)

// Keys is the API keys of one usage plan. It implements apps.Keys.
type Keys struct {
	Client *apigateway.Client
	Plan   string // its id
}

// New is the keys of one plan.
func New(c aws.Config, plan string) Keys {
	return Keys{Client: apigateway.NewFromConfig(c), Plan: plan}
}

// undoing is the time for taking back half a change, whatever became of the request.
const undoing = 5 * time.Second

// Create implements apps.Keys.
func (k Keys) Create(ctx context.Context, label, value string) (string, error) {
	made, err := k.Client.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{Name: aws.String(label), Value: aws.String(value), Enabled: true})
	if err != nil {
		return "", fault.OfService("API key cannot be made", err)
	}
	id := aws.ToString(made.Id)
	if id == "" {
		return "", fault.New(fault.Internal, "API key was made without an id")
	}
	if _, err := k.Client.CreateUsagePlanKey(ctx, &apigateway.CreateUsagePlanKeyInput{
		UsagePlanId: aws.String(k.Plan), KeyId: aws.String(id), KeyType: aws.String("API_KEY")}); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
		defer cancel()
		_ = k.Delete(undo, id) // what stays is in no plan, and opens nothing
		return "", fault.OfService("API key cannot be put into its plan", err)
	}
	return id, nil
}

// Delete implements apps.Keys. The gateway takes the key out of its plan.
func (k Keys) Delete(ctx context.Context, id string) error {
	_, err := k.Client.DeleteApiKey(ctx, &apigateway.DeleteApiKeyInput{ApiKey: aws.String(id)})
	var missing *types.NotFoundException
	if err != nil && !errors.As(err, &missing) {
		return fault.OfService("API key cannot be removed", err)
	}
	return nil
}
