package api

import "greenhouse"

// User is a person who uses the API over TLS, with a password.
type User struct {
	Name   string `json:"name"`
	Role   Role   `json:"role"`
	Logins int    `json:"logins" doc:"that are good now"`
	Meta
}

// CreateUserRequest makes a user.
type CreateUserRequest struct {
	Name     string `json:"name" doc:"a letter, then 1 to 62 of a-z 0-9 _ . -"`
	Role     Role   `json:"role"`
	Password string `json:"password" doc:"at least 10 characters"`
}

// PasswordRequest gives a user another password. An admin need not know the one before.
type PasswordRequest struct {
	Password string `json:"password" doc:"at least 10 characters"`
	Old      string `json:"old,omitempty" doc:"the password until now, from everybody but an admin"`
}

// LoginRequest is a name and a password.
type LoginRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	ForS     int64  `json:"for_s,omitempty" doc:"s the login is good for; 0: 12 hours, the default; at most 30 days"`
}

// Login is what a login gives: a token with the role of the user.
type Login struct {
	User      string            `json:"user"`
	Role      Role              `json:"role"`
	Token     string            `json:"token" doc:"shown once"`
	ExpiresAt greenhouse.Millis `json:"expires_at"`
}
