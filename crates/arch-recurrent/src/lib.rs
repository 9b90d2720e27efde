//! Recurrent networks: RNN, LSTM, GRU, xLSTM, and the gated linear recurrence of Griffin.
