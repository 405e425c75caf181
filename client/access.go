package client

import (
	"context"
	"net/http"
	"net/url"

	"greenhouse/api"
)

// Accounts lists the MQTT logins of bridges and integrations.
func (c *Client) Accounts(ctx context.Context, p Page) (api.List[api.Account], error) {
	return get[api.List[api.Account]](ctx, c, api.PathAccounts, p.into(url.Values{}))
}

// CreateAccount creates an MQTT login; its secret is in this answer only.
func (c *Client) CreateAccount(ctx context.Context, r api.CreateAccountRequest, w Write) (api.Account, error) {
	return send[api.Account](ctx, c, http.MethodPost, api.PathAccounts, r, w)
}

// DeleteAccount deletes an MQTT login and closes its session.
func (c *Client) DeleteAccount(ctx context.Context, name string, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathAccount, name), nil, w)
	return err
}

// Tokens lists the API tokens.
func (c *Client) Tokens(ctx context.Context, p Page) (api.List[api.Token], error) {
	return get[api.List[api.Token]](ctx, c, api.PathTokens, p.into(url.Values{}))
}

// CreateToken creates an API token; its secret is in this answer only.
func (c *Client) CreateToken(ctx context.Context, r api.CreateTokenRequest, w Write) (api.Token, error) {
	return send[api.Token](ctx, c, http.MethodPost, api.PathTokens, r, w)
}

// DeleteToken revokes an API token.
func (c *Client) DeleteToken(ctx context.Context, name string, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathToken, name), nil, w)
	return err
}

// Sim returns the simulated greenhouse; only "edged demo" has one, any other
// daemon answers with an error of kind greenhouse.ErrNotFound.
func (c *Client) Sim(ctx context.Context) (api.Sim, error) {
	return get[api.Sim](ctx, c, api.PathSim, nil)
}

// SimFaults lists the faults injected now.
func (c *Client) SimFaults(ctx context.Context) (api.List[api.SimFault], error) {
	return get[api.List[api.SimFault]](ctx, c, api.PathSimFaults, nil)
}

// InjectFault injects a fault into the simulated greenhouse.
func (c *Client) InjectFault(ctx context.Context, r api.SimFaultRequest, w Write) (api.SimFault, error) {
	return send[api.SimFault](ctx, c, http.MethodPost, api.PathSimFaults, r, w)
}

// ClearFault clears one fault, or all where id is empty.
func (c *Client) ClearFault(ctx context.Context, id string, w Write) error {
	path := api.PathSimFaults
	if id != "" {
		path = api.Path(api.PathSimFault, id)
	}
	_, err := send[api.Done](ctx, c, http.MethodDelete, path, nil, w)
	return err
}

// MetricsText returns the metrics page as it is.
func (c *Client) MetricsText(ctx context.Context) (string, error) {
	return c.text(ctx, api.PathMetrics)
}

// OpenAPI returns the description of the API as it is.
func (c *Client) OpenAPI(ctx context.Context) (string, error) { return c.text(ctx, api.PathOpenAPI) }

func (c *Client) text(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	body, err := c.stream(ctx, request{method: http.MethodGet, path: path, query: url.Values{}, header: http.Header{"Accept": {"*/*"}}})
	if err != nil {
		return "", err
	}
	defer body.Close()
	return c.readText(ctx, body)
}
