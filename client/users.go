package client

import (
	"context"
	"net/http"
	"net/url"

	"greenhouse/api"
)

// Users lists the people who log in with a password.
func (c *Client) Users(ctx context.Context, p Page) (api.List[api.User], error) {
	return get[api.List[api.User]](ctx, c, api.PathUsers, p.into(url.Values{}))
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, r api.CreateUserRequest, w Write) (api.User, error) {
	return send[api.User](ctx, c, http.MethodPost, api.PathUsers, r, w)
}

// SetPassword gives a user another password and ends their logins.
func (c *Client) SetPassword(ctx context.Context, name string, r api.PasswordRequest, w Write) (api.User, error) {
	return send[api.User](ctx, c, http.MethodPut, api.Path(api.PathUserPassword, name), r, w)
}

// DeleteUser removes a user and ends their logins.
func (c *Client) DeleteUser(ctx context.Context, name string, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathUser, name), nil, w)
	return err
}

// Login exchanges a password for a token, which is in this answer only.
func (c *Client) Login(ctx context.Context, r api.LoginRequest) (api.Login, error) {
	return send[api.Login](ctx, c, http.MethodPost, api.PathLogin, r, Write{})
}

// Logout ends the login whose token this client uses.
func (c *Client) Logout(ctx context.Context) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.PathLogin, nil, Write{})
	return err
}
