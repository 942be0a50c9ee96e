CREATE TABLE accounts (
    account_id int PRIMARY KEY,
    name text NOT NULL,
    plan text NOT NULL,
    region text NOT NULL,
    industry text NOT NULL,
    created_at timestamp NOT NULL
);

CREATE TABLE users (
    user_id int PRIMARY KEY,
    account_id int NOT NULL,
    created_at timestamp NOT NULL
);

CREATE TABLE survey_responses (
    response_id bigint PRIMARY KEY,
    account_id int NOT NULL,
    user_id int NOT NULL,
    kind text NOT NULL,
    score smallint NOT NULL,
    responded_at timestamp NOT NULL
);

CREATE TABLE tickets (
    ticket_id bigint PRIMARY KEY,
    account_id int NOT NULL,
    opened_at timestamp NOT NULL,
    resolved_at timestamp,
    first_contact boolean NOT NULL
);

CREATE TABLE subscription_changes (
    change_id bigint PRIMARY KEY,
    account_id int NOT NULL,
    effective_at timestamp NOT NULL,
    mrr_before bigint NOT NULL,
    mrr_after bigint NOT NULL
);

CREATE TABLE usage_events (
    account_id int NOT NULL,
    event_id bigint NOT NULL,
    user_id int NOT NULL,
    occurred_at timestamp NOT NULL,
    feature_id smallint NOT NULL,
    duration_seconds int NOT NULL,
    PRIMARY KEY (account_id, event_id)
);
