package client

import (
	"context"
	"net/http"

	"greenhouse/api"
)

// CA returns the certificate authority of the daemon. It needs no token.
func (c *Client) CA(ctx context.Context) (api.CA, error) {
	return get[api.CA](ctx, c, api.PathCA, nil)
}

// RotateCA replaces the certificate authority.
func (c *Client) RotateCA(ctx context.Context, r api.RotateCARequest, w Write) (api.CA, error) {
	return send[api.CA](ctx, c, http.MethodPost, api.PathCARotate, r, w)
}

// VerifyEvents has the daemon read its whole event log and check the chain. What
// it finds broken is no error but in the answer.
func (c *Client) VerifyEvents(ctx context.Context) (api.Verified, error) {
	return get[api.Verified](ctx, c, api.PathVerify, nil)
}
